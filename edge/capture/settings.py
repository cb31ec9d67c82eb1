"""Where sound comes from, as a configuration says it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from edge.section import PathText, Section

Rate = Annotated[int, Meta(ge=4_000, le=384_000)]


class RecordingSource(Section, frozen=True, tag="file", tag_field="kind"):
    """[source] kind = "file": a recording, at real speed or as fast as it goes."""

    path: PathText
    realtime: bool = False


class StdinSource(Section, frozen=True, tag="stdin", tag_field="kind"):
    """[source] kind = "stdin": raw interleaved PCM, as `arecord -t raw` writes it."""

    rate_hz: Rate
    channels: Annotated[int, Meta(ge=1, le=64)] = 1
    encoding: Literal["s16le", "s32le", "f32le"] = "s16le"
