"""Whether the false-alarm promise is kept: `earpatch evaluate --promise-hours H`.

Simulated machines are calibrated with some minutes of sound at a promised rate, then listened to
for hours of sound that is just as normal; every event is a false alarm.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import soundfile

from calibration.backbones import builtin_backbone
from calibration.learn import learn
from calibration.simulator import Machine
from calibration.survey import survey
from edge.bundle import open_bundle
from edge.detector import Detector
from edge.progress import bar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Sound = NDArray[np.float64]

RATE_HZ = 32_000
TAKE_S, FADE_S = 60.0, 1.0
FIRST_SEED = 2 * 10**12  # machines that nothing else uses
HOUR_S, DAY_S = 3_600.0, 86_400.0


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one machine's promise."""

    machine: int
    calibrated_s: float
    promised_per_day: float
    interval_low_per_day: float
    interval_high_per_day: float
    listened_s: float
    events: int
    achieved_per_day: float
    share_of_hours_ageing: float


def measure(machines: int, hours: float, minutes: float, false_alarms_per_day: float) -> list[Kept]:
    """Calibrate and listen, machine by machine."""
    kept = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        bar("Listening", machines * hours * HOUR_S, "s") as progress,
    ):
        for number in range(machines):
            folder = Path(scratch) / str(number)
            kept.append(_of_machine(folder, number, hours, minutes, false_alarms_per_day, progress))
    return kept


def table(kept: list[Kept]) -> str:
    """As text, with the sum."""
    lines = ["machine  calibrated  promised/day  interval      listened  events  achieved/day"]
    lines += [
        f"{k.machine:7}  {k.calibrated_s:8.0f} s  {k.promised_per_day:12g}  "
        f"{k.interval_low_per_day:5.3g}-{k.interval_high_per_day:<6.3g}  "
        f"{k.listened_s / HOUR_S:6.2f} h  {k.events:6}  {k.achieved_per_day:12.3g}"
        for k in kept
    ]
    days = sum(k.listened_s for k in kept) / DAY_S
    events = sum(k.events for k in kept)
    promised = float(np.mean([k.promised_per_day for k in kept]))
    lines.append(
        f"together {days:.2f} node-days: promised {promised * days:.1f} alarms, came {events}"
    )
    return "\n".join(lines)


def _of_machine(
    folder: Path,
    number: int,
    hours: float,
    minutes: float,
    false_alarms_per_day: float,
    progress: object,
) -> Kept:
    machine = Machine(FIRST_SEED + number, RATE_HZ)
    (folder / "normal").mkdir(parents=True)
    sounds = takes(machine, 0)
    with soundfile.SoundFile(folder / "normal" / "n.wav", "w", RATE_HZ, 1, "FLOAT") as file:
        for _ in range(max(1, round(minutes * 60 / TAKE_S))):
            file.write(next(sounds))
    learnt = learn(
        folder / "bundle",
        builtin_backbone(),
        survey(folder / "normal", accept=True),
        false_alarms_per_day=false_alarms_per_day,
    )
    detector = Detector(open_bundle(folder / "bundle"), rate_hz=RATE_HZ)
    events, ageing, blocks = 0, 0, max(1, round(hours * HOUR_S / TAKE_S))
    for _ in range(blocks):
        found = detector.push(next(sounds).astype(np.float32))
        events += len(found.events)
        ageing += found.ageing
        progress.update(TAKE_S)  # type: ignore[attr-defined]
    listened_s = blocks * TAKE_S
    return Kept(
        machine=number,
        calibrated_s=minutes * 60,
        promised_per_day=false_alarms_per_day,
        interval_low_per_day=learnt.promise.low,
        interval_high_per_day=learnt.promise.high,
        listened_s=listened_s,
        events=events,
        achieved_per_day=events / listened_s * DAY_S,
        share_of_hours_ageing=ageing / blocks,
    )


def takes(machine: Machine, first: int) -> Iterator[Sound]:
    """Endless normal sound in pieces of `TAKE_S`, each faded over into the next."""
    fade = round(FADE_S * machine.rate_hz)
    rising = np.sin(np.linspace(0, np.pi / 2, fade))
    tail = np.zeros(fade)
    number = first
    while True:
        sound = machine.normal(TAKE_S + FADE_S, number)
        piece = sound[:-fade].copy()
        if number > first:
            piece[:fade] = piece[:fade] * rising + tail
        tail = sound[-fade:] * rising[::-1]
        yield piece
        number += 1
