"""The ledger: parts that add up, a remainder that is said, and no verdict where the machine allows none."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.backends.backend import Usage
from isthmus.backends.native import NativeBackend
from isthmus.backends.transformers import TransformersBackend
from isthmus.errors import InputError
from isthmus.latency.hooks import modules
from isthmus.latency.ledger import Figure, agree, ledger, median
from isthmus.latency.ledger_text import Setting, as_json, as_page, as_text
from isthmus.latency.rounds import Round, Rounds, Run, Spent, ask_once, measure
from isthmus.latency.shots import Shots, picture_bytes, text_of
from isthmus.latency.subjects import subject_of, tokenizer_of
from isthmus.machine import machine
from isthmus.stopwatch import PARTS, Part, Watch
from isthmus.vlm.load import load_vlm
from tests.backends import tiny
from tests.backends.tiny_native import save_native_llava

SETTING = Setting(
    "a <model>", "512x512 picture", {**machine(), "load": "1.0", "transformers": "5"}, "off", {"prefill": 0.1}
)
HERE_ALONE = [part for part in PARTS if part not in ("send", "wait")]
USAGE = Usage(40, 16, 5)
SECONDS = st.floats(0.001, 10)


def run(parts: dict[Part, float], left: float = 0.0, slower: float = 1.0) -> Run:
    first = (sum(parts.values()) + left) * slower
    return Run(Spent(first, first / 2), Spent(1.0, 0.5), USAGE, {name: Spent(s, s / 2) for name, s in parts.items()})


def rounds(watched: list[Run], plain: Callable[[Run], tuple[float, float]]) -> Rounds:
    made = []
    for each in watched:
        one, other = (Run(Spent(s, s / 2), Spent(1.0, 0.5), USAGE) for s in plain(each))
        made.append(Round(each, (one, other)))
    return Rounds(watched[0], tuple(made))


@given(st.dictionaries(st.sampled_from(PARTS), SECONDS, min_size=1), st.floats(0, 5))
def test_parts_and_what_is_left_over_are_the_total(parts: dict[Part, float], left: float) -> None:
    found = ledger(rounds([run(parts, left)] * 3, lambda each: (each.first.wall, each.first.wall)))
    assert [line.part for line in found.lines] == [*(name for name in PARTS if name in parts), "unattributed"]
    assert sum(line.wall.median for line in found.lines) == pytest.approx(found.total.median)
    assert sum(line.share for line in found.lines) == pytest.approx(1)
    assert found.lines[-1].wall.median == pytest.approx(left, abs=1e-9)
    assert found.verdict("wall") == found.verdict("cpu")
    attributed = sum(parts.values()) / (sum(parts.values()) + left)
    assert found.adds_up["wall"].median == pytest.approx(attributed)
    if abs(attributed - 0.97) > 1e-6:
        assert found.verdict("wall") == ("yes" if attributed >= 0.97 else "no")


def test_a_watch_that_slows_what_it_watches_does_not_add_up() -> None:
    found = ledger(rounds([run({"prefill": 1.0})] * 5, lambda _: (0.9, 0.9)))
    assert found.verdict("wall") == "no"


def test_where_equal_things_differ_no_verdict_is_given() -> None:
    found = ledger(rounds([run({"prefill": 1.0})] * 5, lambda each: (1.1 * each.first.wall, each.first.wall)))
    assert found.verdict("wall") == "cannot say"
    assert agree(Figure(1.5, 1.4, 1.6), Figure(1.0, 0.99, 1.01)) == "no"
    assert agree(Figure(1.02, 0.9, 1.1), Figure(1.0, 0.99, 1.02)) == "yes"
    assert agree(Figure(1.5, 1.4, 1.6), Figure(1.0, 0.9, 1.0)) == "cannot say"


@given(st.lists(SECONDS, min_size=1, max_size=30))
def test_a_median_lies_in_its_interval(values: list[float]) -> None:
    found = median(values)
    assert min(values) <= found.low <= found.median <= found.high <= max(values)


def test_the_ledger_can_be_read() -> None:
    found = ledger(rounds([run({"decode": 0.01, "prefill": 0.5}, 0.001)] * 3, lambda each: (each.first.wall,) * 2))
    text = as_text(found, SETTING)
    assert "prefill" in text and "unattributed" in text and "5.0" in text  # five times its floor
    assert json.loads(json.dumps(as_json(found, SETTING)))["verdict"] == {"wall": "yes", "cpu": "yes"}
    page = as_page(found, SETTING)
    assert "a &lt;model&gt;" in page and "<model>" not in page
    assert "http" not in page and "<script" not in page


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> NativeBackend:
    return NativeBackend(load_vlm(save_native_llava(tmp_path_factory.mktemp("llava"))))


def test_all_parts_of_our_own_models_are_seen(native: NativeBackend) -> None:
    shots = Shots((40, 56), text_of(tokenizer_of(native)), 20)
    with subject_of(native) as subject:
        found = measure(subject, shots, tokens=4, rounds=3, warm=1)
    for each in found.rounds:
        assert set(each.watched.parts) == set(HERE_ALONE)
        assert all(part.wall >= 0 for part in each.watched.parts.values())
        assert each.watched.attributed.wall <= each.watched.first.wall
        assert all(not plain.parts for plain in each.plain)
        assert each.watched.usage.completion_tokens == 4


def test_what_is_kept_is_not_computed_again(native: NativeBackend) -> None:
    shots = Shots((40, 56), text_of(tokenizer_of(native)), 20, same_picture=True)
    with subject_of(native) as subject:
        found = measure(subject, shots, tokens=4, rounds=3, warm=1, remember=True)
    for each in found.rounds:
        assert not {"encoder", "connector"} & set(each.watched.parts)
        assert "prefill" in each.watched.parts


MODELS = {
    "llava": tiny.save_llava,
    "qwen2.5-vl": lambda folder: tiny.save_qwen_vl(folder, "2.5"),
    "qwen3-vl": lambda folder: tiny.save_qwen_vl(folder, "3"),
    "idefics3": tiny.save_idefics3,
}


@pytest.mark.parametrize("name", MODELS)
def test_parts_of_a_transformers_model_are_seen_by_hooks_that_leave_no_trace(name: str, tmp_path: Path) -> None:
    MODELS[name](tmp_path)
    backend = TransformersBackend(str(tmp_path))
    shots = Shots((40, 56), text_of(tokenizer_of(backend)), 20)
    with subject_of(backend) as subject:
        assert len(hooks_of_ours(backend)) >= 10
        seen = ask_once(subject, shots(1), 4, Watch())
        plain = ask_once(subject, shots(1), 4, None)
    assert {"decode", "preprocess", "encoder", "connector", "splice", "prefill", "sample"} <= set(seen.parts)
    assert seen.attributed.wall <= seen.first.wall
    assert seen.usage == plain.usage
    assert not hooks_of_ours(backend)


def hooks_of_ours(backend: TransformersBackend) -> list[object]:
    """transformers has hooks of its own, which stay."""
    return [
        hook
        for module in backend.model.modules()
        for hooks in (module._forward_hooks, module._forward_pre_hooks)
        for hook in hooks.values()
        if hook.__module__.startswith("isthmus")
    ]


def test_a_model_whose_parts_have_other_names_is_refused(tmp_path: Path) -> None:
    tiny.save_text_only(tmp_path)
    with pytest.raises(InputError, match="cannot be told apart"):
        modules(TransformersBackend(str(tmp_path)).model)


def test_pictures_differ_and_texts_have_their_length(native: NativeBackend, tmp_path: Path) -> None:
    made = {picture_bytes((64, 48), k) for k in range(4)}
    assert len(made) == 4
    path = tmp_path / "a.jpg"
    path.write_bytes(picture_bytes((64, 48), 0))
    assert len({picture_bytes(path, k) for k in range(4)}) == 4
    count = tokenizer_of(native)
    text = text_of(count)
    for tokens in (1, 5, 40, 100):
        assert len({text(tokens, k) for k in range(3)}) == 3
        assert count(text(tokens, 7)) <= max(tokens, count("7:"))
    assert count(text(100, 7)) > 90


@pytest.mark.parametrize("size", [(0, 5), (99999, 1), (5, 16385)])
def test_no_picture_is_made_of_a_size_that_none_has(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"no picture of {size[0]}x{size[1]} is made"):
        Shots(size, str, 5)  # type: ignore[arg-type]
