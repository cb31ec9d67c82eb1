"""An event in words, for a person."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.alarms.states import Summary, Transition
    from edge.capture.level import Loud
    from edge.delivery.records import Loss

SHORT_S = 0.4
NARROW_OCTAVES, BROAD_OCTAVES = 0.8, 2.5
DEEP_HZ, LOW_HZ, HIGH_HZ = 200.0, 600.0, 2_500.0
LOWEST_HZ = 20.0
MINUTE_S, HOUR_S, DAY_S, YEAR_DAYS = 60.0, 3_600.0, 86_400.0, 365.0
OFTEN_A_DAY = 24.0  # what comes that often is not told as unheard of, even if it was


def word_for(duration_s: float, low_hz: float, high_hz: float) -> str:
    """Name a box by its shape: how long, how wide, how high."""
    centre_hz = math.sqrt(max(low_hz, LOWEST_HZ) * high_hz)
    octaves = math.log2(high_hz / max(low_hz, LOWEST_HZ))
    if duration_s <= SHORT_S:
        return "thump" if centre_hz < LOW_HZ else "click"
    if centre_hz < DEEP_HZ:
        return "hum"
    if octaves <= NARROW_OCTAVES:
        return "tone" if centre_hz < HIGH_HZ else "squeal"
    if centre_hz >= HIGH_HZ:
        return "hiss"
    return "rumble" if high_hz < HIGH_HZ else "noise"


def summary(
    *,
    duration_s: float,
    low_hz: float,
    high_hz: float,
    excess_db: float,
    false_alarms_per_day: float,
    learnt_s: float,
) -> str:
    """What happened, how loud, and how unusual it is, in one line."""
    octaves = math.log2(high_hz / max(low_hz, LOWEST_HZ))
    width = "broadband " if octaves >= BROAD_OCTAVES else ""
    shape = f"{width}{word_for(duration_s, low_hz, high_hz)}"
    return (
        f"{shape}, {spoken_duration(duration_s)}, {spoken_band(low_hz, high_hz)}, "
        f"{spoken_level(excess_db)}; {spoken_rarity(false_alarms_per_day, learnt_s)}"
    )


def spoken_duration(duration_s: float) -> str:
    """80 ms, 2.4 s, 3 min."""
    if duration_s < 1.0:
        return f"{duration_s * 1000:.0f} ms"
    return f"{duration_s:.1f} s" if duration_s < MINUTE_S else f"{duration_s / MINUTE_S:.0f} min"


def spoken_band(low_hz: float, high_hz: float) -> str:
    """In Hz where it is low, in kHz elsewhere."""
    if high_hz < 1_000:  # noqa: PLR2004
        return f"{low_hz:.0f}-{high_hz:.0f} Hz"
    return f"{low_hz / 1000:.1f}-{high_hz / 1000:.1f} kHz"


def spoken_level(excess_db: float) -> str:
    """Against what is normal there."""
    if abs(excess_db) < 1.0:
        return "no louder than normal"
    return f"{abs(excess_db):.0f} dB {'above' if excess_db > 0 else 'below'} normal"


def spoken_rarity(false_alarms_per_day: float, learnt_s: float) -> str:
    """How often normal sound does that."""
    heard = f"{learnt_s / MINUTE_S:.0f} minutes" if learnt_s >= MINUTE_S else f"{learnt_s:.0f} s"
    if learnt_s >= 2 * HOUR_S:
        heard = f"{learnt_s / HOUR_S:.0f} hours"
    if false_alarms_per_day < OFTEN_A_DAY and false_alarms_per_day * learnt_s < DAY_S:
        return f"nothing like it in {heard} of calibration"
    return f"normal sound does so {spoken_rate(false_alarms_per_day)}"


def spoken_rate(per_day: float) -> str:
    """12,000 times a day, once in 3 days, once in 40 years."""
    if per_day >= 1.5:  # noqa: PLR2004
        return f"{per_day:,.0f} times a day"
    days = 1.0 / per_day
    if days < 1.5:  # noqa: PLR2004
        return "once a day"
    if days < YEAR_DAYS:
        return f"once in {days:.0f} days"
    return f"once in {days / YEAR_DAYS:,.0f} years"


def level_summary(loud: Loud) -> str:
    """A level rule that was met, in one line."""
    band = f"{loud.low_hz / 1000:.1f}-{loud.high_hz / 1000:.1f} kHz"
    lasting = f"for {loud.end_s - loud.start_s:.1f} s ({loud.level_dbfs:.1f} dBFS)"
    return f"louder than {loud.rule.above_dbfs:g} dBFS at {band} {lasting}, rule {loud.rule.name}"


_CAUSES = {
    "event": "it sounds wrong",
    "returned": "it sounds normal again",
    "acknowledge": "acknowledged",
    "reset": "reset",
    "shelve": "shelved",
    "unshelve": "unshelved",
    "shelving_expired": "its time on the shelf is over",
    "out_of_service": "taken out of service",
    "in_service": "back in service",
}


def transition_summary(transition: Transition) -> str:
    """An alarm's change of state, in one line."""
    by = f" by {transition.by}" if transition.by else ""
    comment = f" ({transition.comment})" if transition.comment else ""
    after = transition.after.replace("_", " ")
    return f"alarm {after}: {_CAUSES[transition.cause]}{by}{comment}"


def alarm_summary(summary: Summary) -> str:
    """What was not told one by one, in one line."""
    return (
        f"{summary.count} changes of the alarm were not told one by one: too many in an hour; "
        f"worst score {summary.worst_score:.2f}"
    )


def loss_summary(loss: Loss) -> str:
    """Events that could not be kept, in one line."""
    return (
        f"{loss.count} events were dropped before they were delivered, numbers "
        f"{loss.first_sequence} to {loss.last_sequence}: too many were waiting"
    )


def shortened(text: str, most: int = 400) -> str:
    """A text of decent length; of a longer one its beginning and its end."""
    if len(text) <= most:
        return text
    part = (most - len(" ... ")) // 2
    return f"{text[:part]} ... {text[-part:]}"


def printable(text: str) -> str:
    """Text from the network without what would steer a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
