"""Places: never more than there are slots, first come first served, and whoever leaves makes room at once."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.server.admission import Admission, Place, QueueFull

STEPS = st.lists(st.one_of(st.just("enter"), st.just("cancel"), st.integers(0, 30)), max_size=60)
"""Somebody enters; whoever waits longest is cancelled where it waits; or the place of that number leaves."""


@given(st.integers(1, 4), st.integers(0, 4), STEPS)
def test_whoever_enters_and_leaves_the_order_and_the_limits_hold(
    slots: int, queue: int, steps: list[str | int]
) -> None:
    def run() -> None:
        admission = Admission(slots, queue)
        came: list[Place] = []
        inside: list[Place] = []
        waiting: list[Place] = []
        for step in steps:
            if step == "enter":
                if len(inside) == slots and len(waiting) == queue:
                    with pytest.raises(QueueFull):
                        admission.enter()
                    continue
                place = admission.enter()
                came.append(place)
                waiting.append(place)
            elif step == "cancel":
                if waiting:  # as asyncio does with what a cancelled task awaits; the task then leaves
                    place = waiting.pop(0)
                    place.granted.cancel()
                    place.leave()
            elif isinstance(step, int) and came:
                place = came[step % len(came)]
                place.leave()
                inside = [each for each in inside if each is not place]
                waiting = [each for each in waiting if each is not place]
            while waiting and len(inside) < slots:
                inside.append(waiting.pop(0))
            assert (admission.busy, admission.waiting) == (len(inside), len(waiting))
            assert all(each.granted.done() and each.granted.result() for each in inside)
            assert not any(each.granted.done() for each in waiting)
        for place in came:
            place.leave()
        assert (admission.busy, admission.waiting) == (0, 0)

    in_loop(run)


def test_a_place_whose_task_was_cancelled_is_passed_over() -> None:
    def run() -> None:
        admission = Admission(1, 2)
        first, second, third = (admission.enter() for _ in range(3))
        second.granted.cancel()  # and has not left yet
        first.leave()
        assert third.granted.result()
        second.leave()
        assert (admission.busy, admission.waiting) == (1, 0)

    in_loop(run)


def test_who_waits_is_sent_away_and_who_is_inside_stays() -> None:
    def run() -> None:
        admission = Admission(1, 2)
        first, second, third = (admission.enter() for _ in range(3))
        admission.send_away()
        assert [each.granted.result() for each in (first, second, third)] == [True, False, False]
        assert (admission.busy, admission.waiting) == (1, 0)

    in_loop(run)


def in_loop(run: Callable[[], None]) -> None:
    async def inside() -> None:
        run()

    asyncio.run(inside())
