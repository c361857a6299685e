"""Numbers that look drawn and are computed: the same key gives the same one, on every machine and in every process.

So no generator has to be carried along, saved and restored: where a reader stands is a count.
"""

from hashlib import blake2b

WORD = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15

ROUNDS = 8
"""Of the permutation. Luby and Rackoff (1988) need four for large domains; small ones mix slower."""


def chance(*key: int | str) -> int:
    """A number in [0, 2**64), uniform over keys."""
    return int.from_bytes(blake2b(repr(key).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def uniform(*key: int | str) -> float:
    """A number in [0, 1)."""
    return (chance(*key) >> 11) / (1 << 53)


def permuted(at: int, size: int, *key: int | str) -> int:
    """Where place `at` of 0 .. size - 1 goes in the permutation of that key: no list of it is made.

    A Feistel network over the next even power of two, walked on until it lands inside, whose rounds mix as SplitMix64
    does. Sources: Luby and Rackoff, 1988; Black and Rogaway, 2002, section 4 (cycle walking); Steele et al., 2014.
    Raises IndexError where `at` is outside.
    """
    if not 0 <= at < size:
        raise IndexError(f"{at} of {size}")
    start = chance(*key)
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = at >> half, at & mask
        for turn in range(ROUNDS):
            left, right = right, left ^ (_mixed(start + turn * GOLDEN ^ right) & mask)
        at = left << half | right
        if at < size:
            return at


def _mixed(word: int) -> int:
    word &= WORD
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & WORD
    word = (word ^ word >> 27) * 0x94D049BB133111EB & WORD
    return word ^ word >> 31
