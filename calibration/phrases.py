"""Numbers in words, for pages that a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.tail import RAREST_PER_DAY

if TYPE_CHECKING:
    from edge.tail import Tail

DAYS_A_YEAR, DAYS_A_MONTH = 365.0, 30.0
MINUTE_S, HOUR_S = 60.0, 3_600.0
OFTEN_PER_DAY = 1.5


def spoken_rate(per_day: float) -> str:
    """12 times a day, about once in 3 days, once in 2 years."""
    if per_day >= OFTEN_PER_DAY:
        return f"about {_two_digits(per_day)} times a day"
    if per_day <= RAREST_PER_DAY:
        return "more rarely than can be told"
    days = 1.0 / per_day
    if days < OFTEN_PER_DAY:
        return "about once a day"
    if days < 2 * DAYS_A_MONTH:
        return f"about once in {_two_digits(days)} days"
    if days < 2 * DAYS_A_YEAR:
        return f"about once in {_two_digits(days / DAYS_A_MONTH)} months"
    return f"about once in {_two_digits(days / DAYS_A_YEAR)} years"


def spoken_rarity(tail: Tail, per_day: float) -> str:
    """The rate, and whether it is counted or estimated."""
    guess = tail.is_extrapolated(per_day) and per_day > RAREST_PER_DAY
    return spoken_rate(per_day) + (" (estimated beyond what was heard)" if guess else "")


def spoken_time(time_s: float) -> str:
    """Where in a recording: 7.3 s, 12 min 5 s, 1 h 2 min 5 s."""
    if time_s < 2 * MINUTE_S:
        return f"{time_s:.1f} s"
    hours, rest = divmod(round(time_s), int(HOUR_S))
    minutes, seconds = divmod(rest, int(MINUTE_S))
    parts = ((hours, "h"), (minutes, "min"), (seconds, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def spoken_utc(iso: str) -> str:
    """2026-11-25 04:47 UTC."""
    return f"{iso[:16].replace('T', ' ')} UTC"


def spoken_hz(frequency_hz: float) -> str:
    """850 Hz, 2.4 kHz."""
    if frequency_hz < 1_000:  # noqa: PLR2004
        return f"{frequency_hz:.0f} Hz"
    return f"{frequency_hz / 1000:.1f} kHz"


def plural(count: int, word: str) -> str:
    """1 event, 2 events."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def printable(text: object) -> str:
    """Text that can be written as UTF-8: a file name may hold bytes that are none."""
    return str(text).encode("utf-8", "replace").decode()


def _two_digits(number: float) -> str:
    return f"{float(f'{number:.2g}'):g}"
