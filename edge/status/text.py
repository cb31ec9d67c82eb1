"""A node at a glance in plain lines: for a terminal's text, a log, and a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.delivery.status import AlarmStatus
    from edge.status.snapshot import Snapshot

MINUTE_S, HOUR_S, DAY_S = 60.0, 3_600.0, 86_400.0


def plain_lines(snapshot: Snapshot, events: int = 1) -> Iterator[str]:
    """A few lines; the first are about the node, then one for each input, then the last events."""
    yield node_line(snapshot)
    yield delivery_line(snapshot)
    for number in range(len(snapshot.inputs)):
        yield input_line(snapshot, number)
    yield from event_lines(snapshot, events)


def node_line(snapshot: Snapshot) -> str:
    """Who it is."""
    health = snapshot.health
    clock = "" if health.clock_synced else ", clock not synchronised"
    return printable(
        f"{health.node}: earpatch {health.version}, up {duration(health.uptime_s)}{clock}"
    )


def delivery_line(snapshot: Snapshot) -> str:
    """How events get away."""
    health = snapshot.health
    where = "on disk" if health.events_durable else "in memory only"
    queue = (
        f"{health.events_waiting} events wait {where}"
        if health.events_waiting
        else "no events wait"
    )
    troubles = [each for each in (snapshot.broker_trouble, health.trouble) if each]
    return printable(f"broker {snapshot.broker}: {'; '.join(troubles) or 'connected'}; {queue}")


def input_line(snapshot: Snapshot, number: int) -> str:
    """How one input is doing."""
    level_dbfs = snapshot.health.inputs[number].level_dbfs
    level = "no level" if level_dbfs is None else f"{level_dbfs:.1f} dBFS"
    return f"{verdict(snapshot, number)}, {level}, {condition(snapshot, number)}"


def verdict(snapshot: Snapshot, number: int) -> str:
    """What one input is, and what was made of it."""
    health, score = snapshot.health.inputs[number], snapshot.inputs[number].score
    scored = "no score yet" if score is None else f"score {score:.2f}"
    alarm = alarm_words(snapshot.state.inputs[number].alarm)
    return printable(f"{health.name}: {health.state}, {scored}, alarm {alarm}")


def condition(snapshot: Snapshot, number: int) -> str:
    """Whether its calibration holds, whether it keeps up, and what else is to be said."""
    health = snapshot.health.inputs[number]
    state = snapshot.state.inputs[number]
    parts = [f"calibration {state.calibration_state}", f"load {health.real_time_factor:.0%}"]
    if state.bundle_trial == "on trial":
        parts.append("bundle on trial")
    if state.bundle_trial == "failed":
        parts.append(f"BUNDLE ROLLED BACK: {state.bundle_note}")
    if health.overloaded:
        parts.append("TOO SLOW: sound is lost")
    if health.reason:
        parts.append(health.reason)
    return printable(", ".join(parts))


def event_lines(snapshot: Snapshot, most: int) -> Iterator[str]:
    """The last events, the newest first."""
    yield from (f"event {printable(event.text)}" for event in snapshot.events[:most])


def alarm_words(alarm: AlarmStatus) -> str:
    """An alarm's state in words."""
    words = alarm.name.replace("_", " ")
    if alarm.unacknowledged_count:
        words += f" ({alarm.unacknowledged_count} to acknowledge)"
    return f"{words}, suspect" if alarm.suspect else words


def duration(seconds: float) -> str:
    """45 s, 12 min, 5.2 h, 3.1 days."""
    if seconds < MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < HOUR_S:
        return f"{seconds / MINUTE_S:.0f} min"
    return f"{seconds / HOUR_S:.1f} h" if seconds < DAY_S else f"{seconds / DAY_S:.1f} days"
