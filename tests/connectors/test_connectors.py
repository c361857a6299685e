"""What holds for every connector: honest counts, padding that does not matter, freezing, dropout, devices."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.connectors import (
    AlignConnector,
    LinearConnector,
    MlpConnector,
    NamesConnector,
    NamesShape,
    QFormerConnector,
    ResamplerConnector,
    SoftPromptConnector,
)
from isthmus.connectors.reduce import Reduction
from isthmus.errors import InputError

from .samples import SMALL, WIDTH_IN, WIDTH_OUT, features, texts

GRID = (2, 4)


def build(kind, dropout=0.0, trainable=True):
    """Every kind of connector, WIDTH_IN to WIDTH_OUT; grids of GRID where there is one."""
    torch.manual_seed(3)
    own = {"dropout": dropout, "trainable": trainable}
    wide = (WIDTH_IN, WIDTH_OUT)
    match kind:
        case "linear":
            return LinearConnector(*wide, **own)
        case "mlp":
            return MlpConnector(*wide, **own)
        case "mlp of three":
            return MlpConnector(*wide, layers=3, hidden=7, **own)
        case "shuffle":
            return MlpConnector(*wide, reduction="shuffle", factor=2, grid=GRID, **own)
        case "average":
            return MlpConnector(*wide, reduction="average", factor=2, grid=GRID, **own)
        case "resampler":
            return ResamplerConnector(*wide, queries=3, layers=2, heads=2, width=8, **own)
        case "qformer":
            return QFormerConnector(replace(SMALL, dropout=dropout), trainable=trainable)
        case "soft prompt":
            return SoftPromptConnector(torch.randn(2, WIDTH_OUT), build("qformer", dropout), trainable=trainable)
        case "align":
            return AlignConnector(torch.randn(7, WIDTH_OUT), build("qformer", dropout), trainable=trainable)
        case "names":
            spelled, shape = torch.tensor([[0, 0], [3, 0], [3, 6]]), NamesShape((0, 3), alone=2, overviews=2, rank=3)
            return NamesConnector(build("align", dropout), spelled, shape, trainable=trainable)


KINDS = ("linear", "mlp", "mlp of three", "shuffle", "average", "resampler", "qformer", "soft prompt", "align", "names")


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_out_is_what_num_tokens_says(kind):
    connector = build(kind)
    assert (connector.width_in, connector.width_out) == (WIDTH_IN, WIDTH_OUT)
    for n in (8, 16, 40):
        out = connector(features(n, n))
        assert out.tokens.shape == (2, connector.num_tokens(n), WIDTH_OUT)
        assert out.mask.shape == out.tokens.shape[:2]
        assert out.mask.dtype == torch.bool and out.mask.all()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)
@given(views=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 9))
def test_padding_never_changes_the_outcome(kind, views, seed):
    """Pictures in a padded batch, with other numbers in the padding, and alone: the same tokens."""
    connector = build(kind).eval()
    counts = [8 * each for each in views]
    batch = features(*counts, seed=seed)
    out = connector(batch)
    other = torch.where(batch.mask[..., None], batch.tokens, 100 * torch.randn_like(batch.tokens))
    again = connector(replace(batch, tokens=other))
    assert torch.equal(again.mask, out.mask)
    assert torch.equal(again.tokens[out.mask], out.tokens[out.mask])
    for i, count in enumerate(counts):
        alone = connector(replace(batch, tokens=batch.tokens[i : i + 1, :count], mask=batch.mask[i : i + 1, :count]))
        assert alone.mask.all()
        torch.testing.assert_close(out.tokens[i][out.mask[i]], alone.tokens[0], rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_connector_that_does_not_train_has_no_gradients_and_no_dropout(kind):
    connector = build(kind, dropout=0.5, trainable=False)
    torch.nn.Sequential(connector).train()  # as a model that contains it
    assert not any(parameter.requires_grad for parameter in connector.parameters())
    assert not any(module.training for module in connector.modules())
    batch = features(8, 16)
    assert torch.equal(connector(batch).tokens, connector(batch).tokens)


@pytest.mark.parametrize("kind", KINDS)
def test_a_connector_that_trains_reaches_every_parameter_and_drops_out(kind):
    connector = build(kind, dropout=0.5)
    batch = features(8, 16)
    text = texts(3, 4) if kind in ("qformer", "soft prompt", "align", "names") else None
    out = connector(batch, text).tokens
    assert not torch.equal(out, connector(batch, text).tokens)
    assert torch.equal(connector.eval()(batch, text).tokens, connector(batch, text).tokens)
    connector(batch, text).tokens.square().sum().backward()
    last_text = "blocks.2.ffn_text."  # what the last layer writes for text nobody reads: only queries leave
    dead = [name for name, p in connector.named_parameters() if len(p) and (p.grad is None or not p.grad.any())]
    assert all(last_text in name for name in dead), dead


@pytest.mark.parametrize("kind", KINDS)
def test_features_in_half_precision_come_out_in_the_connectors_dtype(kind):
    half = features(8, 16, dtype=torch.bfloat16)
    assert build(kind)(half).tokens.dtype == torch.float32
    assert build(kind).to(torch.bfloat16)(half).tokens.dtype == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert build(kind)(half).tokens.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_made_on_the_device_of_weights_and_features(kind):
    """The meta device takes no part in arithmetic with another one, as a GPU does not."""
    connector = build(kind).to("meta")
    batch = features(8, 16)
    moved = replace(batch, tokens=batch.tokens.to("meta"), mask=batch.mask.to("meta"))
    out = connector(moved)
    assert out.tokens.is_meta and out.mask.is_meta


def test_the_linear_connector_maps_each_token_alone():
    connector = build("linear")
    batch = features(6)
    torch.testing.assert_close(
        connector(batch).tokens[0, 2], connector.project.weight @ batch.tokens[0, 2] + connector.project.bias
    )


def test_the_mlp_of_two_layers_is_llavas():
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig
    from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

    config = LlavaConfig(
        vision_config=CLIPVisionConfig(hidden_size=WIDTH_IN),
        text_config=LlamaConfig(hidden_size=WIDTH_OUT, num_attention_heads=2),
    )
    theirs, ours = LlavaMultiModalProjector(config), build("mlp")
    for mine, other in zip(ours.maps, (theirs.linear_1, theirs.linear_2), strict=True):
        mine.load_state_dict(other.state_dict())
    batch = features(9, 9)
    assert torch.equal(ours(batch).tokens, theirs(batch.tokens))


def test_leading_tokens_are_no_cells_neighbours():
    pooled = MlpConnector(WIDTH_IN, WIDTH_OUT, reduction="average", factor=2, leading=2)
    batch = features(2 + 16)
    assert pooled.num_tokens(18) == 2 + 4
    out = pooled(batch)
    grid = replace(batch, tokens=batch.tokens[:, 2:], mask=batch.mask[:, 2:])
    plain = MlpConnector(WIDTH_IN, WIDTH_OUT)
    plain.load_state_dict(pooled.state_dict())
    torch.testing.assert_close(out.tokens[:, :2], plain(batch).tokens[:, :2])
    pooled.leading = 0
    torch.testing.assert_close(out.tokens[:, 2:], pooled(grid).tokens)


def test_the_resampler_sees_features_and_queries():
    connector = build("resampler").eval()
    batch = features(6)
    out = connector(batch).tokens
    assert not torch.allclose(out, connector(features(6, seed=1)).tokens)
    with torch.no_grad():
        connector.queries[2] += 1
    assert not torch.allclose(out[:, 0], connector(batch).tokens[:, 0]), "queries do not see each other"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: MlpConnector(4, 4, layers=0), "at least one layer"),
        (lambda: MlpConnector(4, 4, factor=2), "reduction None by 2"),
        (lambda: MlpConnector(4, 4, reduction="average"), "reduction average by 1"),
        (lambda: MlpConnector(4, 4, grid=(2, 2)), "reduction None by 1"),
        (lambda: MlpConnector(4, 4, reduction="shuffle", factor=2, leading=1), "1 leading tokens"),
        (lambda: Reduction(0), "reduced by 0"),
        (lambda: ResamplerConnector(4, 6, heads=4), "4 heads"),
        (lambda: replace(SMALL, heads=3), "3 heads"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_text_for_a_qformer_without_text_side_and_text_that_is_too_long_are_refused():
    with pytest.raises(InputError, match="reads no text"):
        QFormerConnector(replace(SMALL, vocabulary=0))(features(8), texts(3))
    with pytest.raises(InputError, match="13 text tokens, but this Q-Former takes 12"):
        QFormerConnector(SMALL)(features(8), texts(13))
