"""Who may be answered now, who waits, who is sent away: first come, first served."""

import asyncio
from collections import OrderedDict


class QueueFull(Exception):
    """All slots are taken, and as many wait as may."""


class Place:
    """One request's, in the queue and then in a slot."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission
        self.granted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """True once it has a slot; False where it left before."""

    def leave(self) -> None:
        """Give the slot to whoever has waited longest, or leave the queue. Any number of times."""
        self._admission._leave(self)


class Admission:
    """`slots` at once, up to `queue` waiting. For the thread of one event loop."""

    def __init__(self, slots: int, queue: int) -> None:
        self.slots, self.queue = slots, queue
        self._inside: set[Place] = set()
        self._waiting: OrderedDict[Place, None] = OrderedDict()

    @property
    def busy(self) -> int:
        """Slots taken."""
        return len(self._inside)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        return self.busy >= self.slots and self.waiting >= self.queue

    def enter(self) -> Place:
        """A place, with its slot at once where one is free. Raises QueueFull."""
        if self.is_full:
            raise QueueFull
        place = Place(self)
        self._waiting[place] = None
        self._fill()
        return place

    def send_away(self) -> None:
        """All who wait leave."""
        for place in list(self._waiting):
            place.leave()

    def _leave(self, place: Place) -> None:
        self._inside.discard(place)
        self._waiting.pop(place, None)
        if not place.granted.done():
            place.granted.set_result(False)
        self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._inside) < self.slots:
            place, _ = self._waiting.popitem(last=False)
            if not place.granted.done():  # its task was cancelled, and will say so by leaving
                self._inside.add(place)
                place.granted.set_result(True)
