"""Which sound is kept on disk, and how much of it, as a configuration says it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edge.section import Section

Beside = Annotated[float, Meta(ge=0, le=30)]


class ClipSettings(Section, frozen=True):
    """[clips]. What is beyond a limit is deleted, oldest first; the strictest limit counts.

    Raises:
        ValueError: there would be no room for an event.
    """

    enabled: bool = False
    before_s: Beside = 2.0  # sound kept before an event
    after_s: Beside = 2.0  # and after it
    longest_s: Annotated[float, Meta(ge=1, le=60)] = 30.0  # of a clip; what is later is left out
    max_age_days: Annotated[float, Meta(gt=0, le=3_650)] = 30.0
    max_count: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    max_mb: Annotated[int, Meta(ge=1, le=1_000_000)] = 500  # 10^6 bytes
    min_free_mb: Annotated[int, Meta(ge=10, le=1_000_000)] = 500  # kept free for all else

    def __post_init__(self) -> None:
        if self.before_s + self.after_s >= self.longest_s:
            raise ValueError(
                f"before_s {self.before_s:g} and after_s {self.after_s:g} leave no room for an "
                f"event within longest_s {self.longest_s:g}"
            )
