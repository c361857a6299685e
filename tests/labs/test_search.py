import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.labs.collages import compose
from isthmus.labs.nearest import Hnsw, Ivf, exact, recall, scanned
from isthmus.labs.result import verdict
from isthmus.labs.search import (
    FLAT,
    HNSW,
    INDEXES,
    IVF,
    PICTURES,
    SCAN,
    TEXTS,
    At,
    Index,
    Run,
    Settings,
    judge,
    measure,
    tables,
)
from isthmus.labs.search import draw as draw_plot

TINY = Settings(
    photos=(60, 90), stamps=12, variants=1, compared=3, queries=6, timed=2, links=8, building=16, hnsw=(4, 200),
    trained_on=8, rounds=2, ivf=(1, 32),
)  # fmt: skip
SIZES = (10_000, 100_000, 1_000_000)


def made_up(name: str = "", **changed: float) -> Run:
    """One library's as the textbook has it, but for what is given of the index of this name."""
    told = {"ms": 1.0, "texts": 0.95, "right": 0.7, "exact": 5.0} | changed

    def index(own: dict[str, float]) -> Index:
        easy = At(16, {PICTURES: 0.96, TEXTS: own["texts"]}, own["ms"], own["right"])
        return Index(2.2, 60.0, (easy, At(512, {PICTURES: 1.0, TEXTS: 0.99}, 20 * own["ms"], 0.7)))

    plain = {"ms": 1.0, "texts": 0.95, "right": 0.7}
    indexes = {each: index(told if each == name else plain) for each in INDEXES}
    return Run({SCAN: told["exact"], FLAT: 9.0}, 0.7, indexes)


def outcome(changed: dict[int, Run]) -> str:
    plain = {10_000: made_up(), 100_000: made_up(exact=50), 1_000_000: made_up(exact=500)}
    return verdict(judge({n: [run] * 3 for n, run in (plain | changed).items()}))


def test_all_as_the_textbook_says_holds() -> None:
    assert outcome({}) == "holds"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({10_000: made_up(exact=20)}, "fails"),
        ({100_000: made_up(HNSW, texts=0.8)}, "fails"),
        ({1_000_000: made_up(IVF, texts=0.8, exact=500)}, "fails"),
        ({1_000_000: made_up(IVF, right=0.6, exact=500)}, "depends"),
        ({1_000_000: made_up(IVF, ms=200, exact=500)}, "depends"),
        ({1_000_000: made_up(HNSW, texts=0.92, ms=10, exact=500)}, "depends"),  # tuned with texts it takes 200 ms
    ],
)
def test_where_a_part_does_not(changed: dict[int, Run], expected: str) -> None:
    assert outcome(changed) == expected


def test_an_index_that_never_reaches_it_is_taken_at_its_most() -> None:
    assert made_up().tuned(HNSW).effort == 16
    assert made_up(HNSW, texts=0.5).tuned(HNSW, TEXTS).effort == 512
    assert made_up().indexes[HNSW].reaching(1.1, TEXTS).effort == 512


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_quarters_describe_the_whole(seed: int) -> None:
    """Means, deviations and maxima of a grid of cells, from those of its quarters."""
    spans, pooled = (3, 5), 4
    torch.manual_seed(seed)
    last = torch.randn(2, pooled, 4, 6, dtype=torch.float64)
    stages = [torch.randn(2, span, 8, 6, dtype=torch.float64) + 3 for span in spans]

    def describe(last: torch.Tensor, stages: list[torch.Tensor]) -> torch.Tensor:
        parts = [last.flatten(2).mean(2)]
        for grid in (each.flatten(2) for each in stages):
            parts += [grid.mean(2), grid.std(2, correction=0), grid.amax(2)]
        return torch.cat(parts, 1)

    def quarters(grid: torch.Tensor) -> list[torch.Tensor]:
        return [half for side in grid.chunk(2, 2) for half in side.chunk(2, 3)]

    cut = [describe(one, list(rest)) for one, *rest in zip(*(quarters(g) for g in (last, *stages)), strict=True)]
    torch.testing.assert_close(compose(torch.stack(cut, 1), pooled, spans), describe(last, stages))


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    found = random.standard_normal((500, 24)).astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found[:480].astype(np.float16), found[480:]


def test_exact_is_the_sorted_product_and_the_librarys_scan_agrees(rows: tuple[np.ndarray, np.ndarray]) -> None:
    stored, queries = rows
    wanted = np.argsort(-(queries @ stored.astype(np.float32).T), axis=1)[:, :10]
    np.testing.assert_array_equal(exact(stored, queries, 10), wanted)
    assert [scanned(stored, query, 10).tolist() for query in queries] == wanted.tolist()


def test_indexes_find_everything_where_they_look_everywhere(rows: tuple[np.ndarray, np.ndarray]) -> None:
    stored, queries = rows
    added: list[int] = []
    truth = exact(stored, queries, 10)
    for index in (
        Hnsw(stored, 16, 100, (4, 480), added.append),
        Ivf(stored, 0, 8, 5, (1, 4, 500), added.append),
    ):
        most = index.efforts[-1]
        less, all_found = (recall(index.find(queries, 10, effort), truth) for effort in (index.efforts[0], most))
        assert less < all_found
        assert all_found > (0.99 if isinstance(index, Hnsw) else 0.4)
        assert index.bytes() > 2 * stored.nbytes  # its own copy, in float32
    assert sum(added) == 2 * len(stored)
    lists = round(4 * len(stored) ** 0.5)
    assert recall(Ivf(stored, 0, 8, 5, (lists,), added.append).find(queries, 10, lists), truth) == 1


def test_it_measures_and_draws(stamps_root: object) -> None:  # noqa: ARG001  the package must be there
    runs, alike = measure(TINY, [0, 1], quiet=True)
    assert list(runs) == [60, 90]
    assert 0.5 < alike.mean <= 1.0001
    for each in (one for many in runs.values() for one in many):
        assert set(each.indexes) == set(INDEXES)
        most = each.indexes[HNSW].efforts[-1]
        assert most.recall[TEXTS] > 0.95
        assert most.right == pytest.approx(each.right, abs=0.1)
    assert [table.title.split()[0] for table in tables(runs)] == ["milliseconds", "recall", "share", "an"]
    assert len(draw_plot(runs).axes) == 2
