"""ULIDs: ids that sort by the time at which they were made, 26 characters.

https://github.com/ulid/spec: 48 bits of milliseconds since 1970, 80 random bits, in Crockford's
base 32. Within one millisecond, and while the clock stands still or goes back, the random part of
the last one is counted up instead.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
RANDOM_BITS = 80
LAST = 2**128 - 1


def encode(number: int) -> str:
    """128 bits as 26 characters.

    Raises:
        ValueError: negative, or more than 128 bits.
    """
    if not 0 <= number <= LAST:
        raise ValueError(f"{number}: a ULID has 128 bits")
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(5 * (LENGTH - 1), -1, -5))


def decode(text: str) -> int:
    """The 128 bits of a ULID.

    Raises:
        ValueError: not 26 characters of the alphabet, or more than 128 bits.
    """
    if len(text) != LENGTH or text[0] > "7" or not set(text) <= set(ALPHABET):
        raise ValueError(f"{text!r}: not a ULID")
    number = 0
    for character in text:
        number = number << 5 | ALPHABET.index(character)
    return number


class UlidSource:
    """Makes ULIDs, each larger than the one before. Used from one thread.

    Args:
        now_ms: milliseconds since 1970.
    """

    def __init__(self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._now_ms = now_ms
        self._last = -1

    def __call__(self) -> str:
        """The next id."""
        now_ms = min(max(self._now_ms(), 0), LAST >> RANDOM_BITS)
        fresh = now_ms << RANDOM_BITS | secrets.randbits(RANDOM_BITS - 1)  # room to count up
        older = fresh >> RANDOM_BITS <= self._last >> RANDOM_BITS
        self._last = self._last + 1 if older else fresh
        return encode(self._last)
