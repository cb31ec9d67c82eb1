"""What the node hands to Sparkplug: the same facts as in its JSON messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge.delivery.status import Health, NodeState


class Heard(NamedTuple):
    """What an input sounds like now."""

    score: float  # 1 is the alarm level
    false_alarms_per_day: float  # how often normal sound would reach that score


class Snapshot(NamedTuple):
    """A node and its inputs at one moment."""

    health: Health
    state: NodeState
    heard: Mapping[str, Heard]  # by input; none for one that was not scored yet
