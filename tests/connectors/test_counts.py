"""How many parameters BLIP-2's two stages train: the paper's table 1 and section 3.1, to the last one."""

import pytest
import torch

from isthmus.connectors import QFormerConfig, QFormerConnector, Stage1, without_text

VIT_G = 1408


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("width_out", "expected", "published"),
    [(2560, 107_130_880, 107.1), (2048, 106_737_152, 106.7), (4096, 108_312_064, 108.3)],
    ids=["OPT-2.7B", "FLAN-T5-XL", "4096 wide"],
)
def test_stage_2_trains_the_query_side_and_the_map(width_out, expected, published):
    with torch.device("meta"):
        connector = QFormerConnector(QFormerConfig(VIT_G, width_out))
    assert count(connector) == expected
    assert round(expected / 1e6, 1) == published
    embeddings, attention, cross, ffn = 32 * 768 + 2 * 768, 2_363_904, 3_346_944, 4_723_968
    assert expected == embeddings + 12 * attention + 6 * cross + 12 * ffn + 769 * width_out


def test_stage_1_trains_both_sides_and_the_heads():
    with torch.device("meta"):
        connector = QFormerConnector(QFormerConfig(VIT_G, 2560, vocabulary=30_523))
        qformer = connector.qformer
        stage = Stage1(qformer, start_token=30_522)
    assert count(stage) == 186_702_654
    assert count(qformer) == 185_684_736
    assert count(without_text(connector).qformer) == 105_162_240
    text_side = 12 * 4_723_968 + 30_523 * 768 + 512 * 768
    assert count(qformer) == count(without_text(connector).qformer) + text_side
    itg = 768 * 769 + 2 * 768 + 30_523
    assert count(stage.itg_head) == itg == 622_651
    assert count(stage) == count(qformer) + 2 * 769 * 256 + 769 * 2 + 1 + itg
    assert abs(count(stage) / 188e6 - 1) < 0.01, "the paper's 188 M"


def test_transformers_counts_the_same():
    from transformers import Blip2QFormerConfig
    from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel, Blip2TextEmbeddings

    with torch.device("meta"):
        queries_only = Blip2QFormerModel(Blip2QFormerConfig())
        settings = Blip2QFormerConfig(use_qformer_text_input=True, vocab_size=30_523)
        both = Blip2QFormerModel(settings), Blip2TextEmbeddings(settings)
    assert count(queries_only) + 32 * 768 == 105_162_240
    assert sum(map(count, both)) + 32 * 768 == 185_684_736
