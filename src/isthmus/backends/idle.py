"""Conversations between their answers, each with what it has read: as many as fit into so many bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import RLock
from typing import TypeAlias

from isthmus.messages import Role
from isthmus.vlm.conversation import Conversation
from isthmus.vlm.model import VisionLanguageModel
from isthmus.vlm.openings import Openings

Said: TypeAlias = tuple[Role, str]
"""One part of a message, for comparing: whose it is, and its text or its picture's content key."""


MOST = 64
"""Conversations at once, however small: a new stream is compared with each."""


@dataclass(frozen=True)
class _Held:
    conversation: Conversation
    said: tuple[Said, ...]
    size: int
    """Bytes."""


class Idle:
    """The one used last stands last, and those used first go where there is no room for all."""

    def __init__(self, model: VisionLanguageModel, most: int) -> None:
        """`most`: bytes that conversations and the openings they share take together."""
        self._model, self._most, self._openings = model, most, Openings()
        self._held: list[_Held] = []
        self._lock = RLock()  # garbage collected while it is held may be a stream, which gives its conversation back

    def __len__(self) -> int:
        return len(self._held)

    @property
    def nbytes(self) -> int:
        """What is held now."""
        with self._lock:
            return sum(each.size for each in self._held) + self._openings.nbytes

    def take(self, said: Sequence[Said]) -> Conversation:
        """The conversation that shares most with what is said, a new one where none shares anything."""
        with self._lock:
            shared = [_shared(said, each.said) for each in self._held]
            if any(shared):
                return self._held.pop(shared.index(max(shared))).conversation
        return Conversation(self._model, self._openings if self._most else None)

    def give_back(self, conversation: Conversation, said: tuple[Said, ...]) -> None:
        held = _Held(conversation, said, conversation.nbytes)
        with self._lock:
            self._held.append(held)
            while self._held and (len(self._held) > MOST or self.nbytes > self._most):
                del self._held[0]
            if self._openings.nbytes > self._most:
                self._openings.clear()

    def forget(self) -> None:
        """All conversations."""
        with self._lock:
            self._held.clear()

    def clear(self) -> None:
        """All of it, as after running out of memory."""
        with self._lock:
            self._held.clear()
            self._openings.clear()


def _shared(said: Sequence[Said], before: Sequence[Said]) -> int:
    """How many parts both begin with; 0 where these are the system's alone, which any two dialogues may share."""
    count = 0
    for ours, theirs in zip(said, before, strict=False):
        if ours != theirs:
            break
        count += 1
    return count if any(role != "system" for role, _ in said[:count]) else 0
