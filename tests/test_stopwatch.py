"""Parts of an answer's way to its first token: exclusive of each other, and nothing where nobody watches."""

from hypothesis import given
from hypothesis import strategies as st

from isthmus.stopwatch import PARTS, Part, Watch, current, part, watching

Tree = tuple[Part, float, list["Tree"], float]  # type: ignore[misc]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


TREES = st.recursive(
    st.tuples(st.sampled_from(PARTS), st.integers(0, 9), st.just([]), st.integers(0, 9)),
    lambda inner: st.tuples(st.sampled_from(PARTS), st.integers(0, 9), st.lists(inner, max_size=3), st.integers(0, 9)),
    max_leaves=12,
)


def _run(tree: Tree, clock: Clock) -> None:
    name, before, inner, after = tree
    with part(name):
        clock.now += before
        for each in inner:
            _run(each, clock)
        clock.now += after


def _own(tree: Tree) -> list[tuple[Part, float]]:
    name, before, inner, after = tree
    return [(name, before + after), *(pair for each in inner for pair in _own(each))]


@given(st.lists(TREES, max_size=4))
def test_each_second_belongs_to_one_part(trees: list[Tree]) -> None:
    clock = Clock()
    watch = Watch(clock)
    with watching(watch):
        for tree in trees:
            _run(tree, clock)
    assert sum(watch.seconds.values()) == clock.now
    expected: dict[Part, float] = {}
    for name, seconds in (pair for tree in trees for pair in _own(tree)):
        expected[name] = expected.get(name, 0.0) + seconds
    assert watch.seconds == expected


def test_time_after_the_first_text_and_without_a_watch_is_nobodys() -> None:
    clock = Clock()
    watch = Watch(clock)
    with part("decode"):
        clock.now += 1
    with watching(watch):
        watch.open = False
        with part("decode"):
            clock.now += 1
        watch.add("queue", 1.0)
    assert watch.seconds == {}
    assert current() is None


def test_a_part_that_fails_is_counted_too() -> None:
    clock = Clock()
    watch = Watch(clock)
    try:
        with watching(watch), part("encoder"):
            clock.now += 2
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert watch.seconds == {"encoder": 2}
