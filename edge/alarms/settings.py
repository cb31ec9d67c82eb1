"""When an alarm comes, goes, and is told, as a configuration says it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edge.section import Section

MAX_PER_HOUR = 240  # one in 15 s; more than that nobody reads


class AlarmSettings(Section, frozen=True):
    """[alarm]."""

    on_delay_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0  # anomalies go on so long before it
    off_delay_s: Annotated[float, Meta(ge=0, le=3600)] = 10.0  # heard without one until it returns
    latching: bool = False  # stays until an operator resets it
    max_per_hour: Annotated[int, Meta(ge=1, le=MAX_PER_HOUR)] = 12  # the rest is summarised
    max_shelve_s: Annotated[float, Meta(ge=1, le=7 * 86_400)] = 8 * 3600.0  # a shift
