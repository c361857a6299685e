"""Parts of an answer's way to its first token: exclusive of each other, and nothing where nobody watches."""

from hypothesis import given
from hypothesis import strategies as st

from isthmus.stopwatch import PARTS, Moment, Part, Watch, current, part, watching

Tree = tuple[Part, float, list["Tree"], float]  # type: ignore[misc]


class Clock(Watch):
    """A Watch whose time passes when it is told to, at half the speed for the processor."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0

    def now(self) -> Moment:
        return Moment(self.passed, self.passed / 2)


TREES = st.recursive(
    st.tuples(st.sampled_from(PARTS), st.integers(0, 9), st.just([]), st.integers(0, 9)),
    lambda inner: st.tuples(st.sampled_from(PARTS), st.integers(0, 9), st.lists(inner, max_size=3), st.integers(0, 9)),
    max_leaves=12,
)


def _run(tree: Tree, clock: Clock) -> None:
    name, before, inner, after = tree
    with part(name):
        clock.passed += before
        for each in inner:
            _run(each, clock)
        clock.passed += after


def _own(tree: Tree) -> list[tuple[Part, float]]:
    name, before, inner, after = tree
    return [(name, before + after), *(pair for each in inner for pair in _own(each))]


@given(st.lists(TREES, max_size=4))
def test_each_second_belongs_to_one_part(trees: list[Tree]) -> None:
    watch = clock = Clock()
    with watching(watch):
        for tree in trees:
            _run(tree, clock)
    assert sum(watch.seconds.values()) == clock.passed
    expected: dict[Part, float] = {}
    for name, seconds in (pair for tree in trees for pair in _own(tree)):
        expected[name] = expected.get(name, 0.0) + seconds
    assert watch.seconds == expected
    assert watch.cpu == {name: seconds / 2 for name, seconds in expected.items()}


def test_time_after_the_first_text_and_without_a_watch_is_nobodys() -> None:
    watch = clock = Clock()
    with part("decode"):
        clock.passed += 1
    with watching(watch):
        watch.open = False
        with part("decode"):
            clock.passed += 1
        watch.add("queue", 1.0)
    assert watch.seconds == {}
    assert current() is None


def test_a_part_that_fails_is_counted_too() -> None:
    watch = clock = Clock()
    try:
        with watching(watch), part("encoder"):
            clock.passed += 2
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert watch.seconds == {"encoder": 2}
