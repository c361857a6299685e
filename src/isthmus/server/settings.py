"""What one server allows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Of one request; more is refused before it costs anything."""

    body: int = 64 << 20
    """Bytes."""
    pictures: int = 16
    pixels: int = 64_000_000
    """Of each picture, by what its file says of itself: phones make 50 million."""
    text: int = 1_000_000
    """Characters of all messages and tools. Longer than any context here, and tokenised within a second or two."""
    max_tokens: int = 2048
    """Of an answer, where the request names no number."""


@dataclass(frozen=True)
class Settings:
    slots: int = 4
    """Answers made at once."""
    queue: int = 64
    """Requests that may wait for a slot."""
    grace: float = 30.0
    """Seconds that answers under way have, once the server is asked to stop."""
    open_metrics: bool = False
    """/metrics without the token."""
    limits: Limits = Limits()
