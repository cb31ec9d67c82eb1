"""Where sound comes from and when it is worth hearing, as a configuration says it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from edge.section import Name, PathText, Section

Rate = Annotated[int, Meta(ge=4_000, le=384_000)]
Seconds = Annotated[float, Meta(gt=0, le=3_600)]
LevelDbfs = Annotated[float, Meta(ge=-120, le=0)]
Frequency = Annotated[float, Meta(ge=0, le=192_000)]


class RecordingSource(Section, frozen=True, tag="file", tag_field="kind"):
    """[source] kind = "file": a recording, at real speed or as fast as it goes."""

    path: PathText
    realtime: bool = False


class StdinSource(Section, frozen=True, tag="stdin", tag_field="kind"):
    """[source] kind = "stdin": raw interleaved PCM, as `arecord -t raw` writes it."""

    rate_hz: Rate
    channels: Annotated[int, Meta(ge=1, le=64)] = 1
    encoding: Literal["s16le", "s32le", "f32le"] = "s16le"


class MicrophoneSource(Section, frozen=True, tag="microphone", tag_field="kind"):
    """[source] kind = "microphone": sound as it happens.

    `device` is `port:1-1.2`, `usb:0d8c:0014`, `usb:0d8c:0014:SERIAL`, `card:Device`, or a part of
    the name; `earpatch devices` prints the line. Empty: the first that can record.
    """

    device: Annotated[str, Meta(max_length=200)] = ""
    rate_hz: Rate = 48_000  # asked for; what the hardware can't do is resampled
    channel: Annotated[int, Meta(ge=0, le=64)] = 0  # counted from 1; 0 is the mean of all
    backend: Literal["portaudio", "arecord"] = "portaudio"


class LivenessSettings(Section, frozen=True):
    """[liveness]: when an input counts as heard, and what else it may be."""

    open_within_s: Seconds = 8.0  # a microphone that doesn't open by then is tried anew
    stalled_after_s: Seconds = 2.0  # without a single sample
    hearing_after_s: Seconds = 0.5  # of good sound, before it is believed
    silent_after_s: Seconds = 1.0  # of a constant value, or of less than `silent_below_dbfs`
    silent_below_dbfs: LevelDbfs = -90.0  # less than the noise of any microphone
    frozen_after_s: Seconds = 0.5  # of sound that repeats the half second before, bit for bit
    clipped_after_s: Seconds = 1.0
    clipped_share: Annotated[float, Meta(gt=0, le=1)] = 0.05  # of samples at full scale
    retry_first_s: Seconds = 0.5  # before opening again, doubling up to `retry_most_s`
    retry_most_s: Seconds = 5.0


class LevelRule(Section, frozen=True):
    """[[level]]: a plain alarm, "louder than so much in this band for so long".

    Levels are root mean square with full scale 1.0: a full-scale sine has -3 dBFS.
    """

    name: Name
    above_dbfs: LevelDbfs
    for_s: Seconds = 1.0
    low_hz: Frequency = 0.0
    high_hz: Frequency = 0.0  # 0: up to half the rate
