"""A picture of one scored recording: spectrogram, anomaly map, and boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from edge.frontend import LogMel, band_edges_hz
from edge.recording import read_blocks, recording_info
from edge.resample import Resampler

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from calibration.simulator import Box
    from edge.events import Event
    from edge.frontend import FrontEnd
    from edge.scoring import Scored

TICKS_HZ = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
LOWEST_HZ = 30.0
TRUTH_COLOUR, EVENT_COLOUR = "white", "#ff2d55"


def draw(
    target: Path, recording: Path, front_end: FrontEnd, scored: Scored, truth: Sequence[Box]
) -> None:
    """Write a PNG: what was heard above, what was found below."""
    figure, (heard, found) = plt.subplots(2, 1, figsize=(11, 7), sharex=True, layout="constrained")
    log_mel, time_s, frequency_hz = _spectrogram(recording, front_end)
    heard.pcolormesh(time_s, frequency_hz, log_mel.T, cmap="magma", shading="flat")
    heard.set_title("What the microphone heard (log-mel spectrogram), with the true faults")
    for box in truth:
        _outline(heard, box, TRUTH_COLOUR, "--")
    mesh = found.pcolormesh(
        scored.time_edges_s,
        scored.freq_edges_hz,
        np.clip(scored.evidence.T, 0, 2),
        cmap="viridis",
        shading="flat",
    )
    found.set_title("What the node made of it (evidence; 1 is the alarm level), with its events")
    for box in truth:
        _outline(found, box, TRUTH_COLOUR, "--")
    for event in scored.verdict.events:
        _outline(found, event, EVENT_COLOUR, "-")
        found.annotate(
            f"{event.sounds_like} {event.score:.1f}", (event.start_s, event.high_hz),
            xytext=(2, 3), textcoords="offset points", color=EVENT_COLOUR, weight="bold",
        )  # fmt: skip
    figure.colorbar(mesh, ax=found, label="evidence", pad=0.01)
    for axes in (heard, found):
        axes.set_yscale("log")
        axes.set_ylim(LOWEST_HZ, scored.freq_edges_hz[-1])
        axes.set_yticks(TICKS_HZ, [f"{tick / 1000:g} kHz" for tick in TICKS_HZ])
        axes.minorticks_off()
    found.set_xlabel("seconds")
    figure.savefig(target, dpi=110)
    plt.close(figure)


def _outline(axes: Axes, box: Box | Event, colour: str, style: str) -> None:
    low_hz = max(box.low_hz, LOWEST_HZ)
    size = (box.end_s - box.start_s, box.high_hz - low_hz)
    axes.add_patch(
        Rectangle((box.start_s, low_hz), *size, fill=False, edgecolor=colour, ls=style, lw=1.8)
    )


def _spectrogram(recording: Path, front_end: FrontEnd) -> tuple[Any, Any, Any]:
    """Log-mel frames with their time and frequency edges."""
    info = recording_info(recording)
    resampler = Resampler(info.rate_hz, front_end.sample_rate_hz)
    log_mel = LogMel(front_end, limit_hz=info.nyquist_hz)
    for block in read_blocks(info):
        log_mel.push(resampler.push(block))
    log_mel.push(resampler.finish())
    frames = log_mel.finish()
    return frames, np.arange(len(frames) + 1) * front_end.frame_s, band_edges_hz(front_end)
