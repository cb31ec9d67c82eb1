"""The sets on which detection is measured: folders, published layouts, mixtures, the simulator.

A set is normal sound to learn from and clips to judge, each with its label and, where the truth is
known, a mask on the grid of cells. Clips cut from one recording never stand on both sides.
Mixtures and simulated machines hold nothing that the built-in backbone was trained on; of MIMII
and DCASE2020 it has heard some normal clips (`convert/pretrained/README.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from calibration.simulator import FAULTS, Fault, Machine
from convert.pretrain_sounds import RATE_HZ, is_held_out_slider, read_sound
from edge.errors import RecordingError
from edge.frontend import FrontEnd, LogMel
from edge.recording import find_recordings, recording_info
from edge.resample import Resampler

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    Mask = NDArray[np.bool_]

CELL_FRAMES, CELL_BANDS = 8, 8
MASK_FLOOR_DB = -30.0  # of the event's own loudest cell
MIXTURE_SNRS_DB = (-6.0, 0.0, 6.0)
MIXTURE_CLIP_S, EVENT_S = 5.0, 1.0
REPORTING_FOLDS = ("4", "5")
ESC10_NAME_PARTS = 3  # fold-recording-take, and the class in the newer releases
PASSED_SHARE = 0.92  # of the background's band: a filter needs room
BACKGROUND_CLASSES = ("rain", "sea_waves")
STATIONARY_CLASSES = (*BACKGROUND_CLASSES, "helicopter")  # no events in themselves
SIMULATED_SEEDS = range(10**12, 10**12 + 4)  # beyond any that training can reach
FIRST_PLAIN_TAKE, FIRST_FAULTY_TAKE = 100, 1_000
SIMULATED_NORMAL_S, SIMULATED_CLIP_S, SIMULATED_LEVEL_DB = 60.0, 8.0, 10.0


@dataclass(frozen=True)
class Clip:
    """A clip to judge."""

    path: Path
    anomalous: bool
    kind: str = ""  # of anomaly, where a set holds several
    mask: Mask | None = None  # [columns, rows] of cells that hold the event; None: not known


@dataclass(frozen=True)
class EvaluationSet:
    """Normal sound to learn from, and clips to judge."""

    name: str  # sets of one name, several machines, are averaged
    normal: list[Path]
    clips: list[Clip]


def folder_set(normal: Path, anomalous: Path) -> EvaluationSet:
    """Two folders: of the normal recordings, sorted by name, the last half is judged.

    Raises:
        RecordingError: too few recordings.
    """
    paths = find_recordings(normal)
    if len(paths) < 2:  # noqa: PLR2004
        raise RecordingError(f"{normal}: one recording can't be learnt from and judged as well")
    half = len(paths) // 2
    clips = [Clip(path, anomalous=False) for path in paths[half:]]
    clips += [Clip(path, anomalous=True) for path in find_recordings(anomalous)]
    return EvaluationSet(normal.parent.name or str(normal), paths[:half], clips)


def mimii_sets(root: Path) -> list[EvaluationSet]:
    """MIMII as published: `<machine>/id_NN/{normal,abnormal}/*.wav`, a set for each id."""
    folders = sorted(p for p in root.glob("**/id_*") if (p / "normal").is_dir())
    if not folders:
        raise RecordingError(f"{root}: no <machine>/id_NN/normal in it; is this MIMII?")
    sets = []
    for folder in folders:
        found = folder_set(folder / "normal", folder / "abnormal")
        name = f"{folder.parent.name} {folder.name}"
        sets.append(EvaluationSet(name, found.normal, found.clips))
    return sets


def dcase_sets(root: Path) -> list[EvaluationSet]:
    """DCASE2020-2024 Task 2 as published: `<machine>/{train,test}`, a set for each id or section.

    The id is in a file's name: `normal_id_00_00000001.wav`, `section_00_source_test_anomaly_...`.
    """
    machines = sorted(p.parent for p in root.glob("**/test") if (p.parent / "train").is_dir())
    if not machines:
        raise RecordingError(f"{root}: no <machine>/train and <machine>/test in it; is this DCASE?")
    sets = []
    for machine in machines:
        tests = find_recordings(machine / "test")
        for identity in sorted({_identity(path) for path in tests}):
            normal = [p for p in find_recordings(machine / "train") if _identity(p) == identity]
            clips = [Clip(p, "anomaly" in p.name) for p in tests if _identity(p) == identity]
            if normal:
                sets.append(EvaluationSet(f"{machine.name} {identity}", normal, clips))
    return sets


def _identity(path: Path) -> str:
    parts = path.stem.split("_")
    for word in ("id", "section"):
        if word in parts[:-1]:
            return f"{word}_{parts[parts.index(word) + 1]}"
    return "all"


def mixture_sets(data: Path, folder: Path, seed: int, events_a_set: int) -> list[EvaluationSet]:
    """ESC-10 events of folds 4 and 5 in slide rail, rain and sea, with masks from the stems.

    Args:
        data: a folder with `esc10/` and `slider_id00/`.
        folder: where the mixed clips are written.
        seed: the same seed mixes the same clips.
        events_a_set: how many clips with an event each background gets; as many stay without.
    """
    events = [
        path
        for path in sorted(data.glob("esc10/*/*.ogg"))
        if path.name[0] in REPORTING_FOLDS and path.parent.name not in STATIONARY_CLASSES
    ]
    slider = [p for p in sorted(data.glob("slider_id00/normal/*.flac")) if is_held_out_slider(p)]
    backgrounds = {"slide rail": slider} | {
        name: sorted(p for p in data.glob(f"esc10/{name}/*.ogg") if p.name[0] in REPORTING_FOLDS)
        for name in BACKGROUND_CLASSES
    }
    sets = []
    for name, paths in backgrounds.items():
        if len(paths) > 1 and events:
            mixer = _Mixer(folder / name.replace(" ", "-"), np.random.default_rng(seed))
            sets.append(mixer.make(name, paths, events, events_a_set))
    return sets


class _Mixer:
    """Mixes events into one kind of background."""

    def __init__(self, folder: Path, random: np.random.Generator) -> None:
        self._folder, self._random = folder, random
        folder.mkdir(parents=True, exist_ok=True)

    def make(
        self, name: str, backgrounds: list[Path], events: list[Path], count: int
    ) -> EvaluationSet:
        """Half of the background recordings are learnt from, the other half is mixed."""
        learnt, kept = _by_recording(backgrounds)
        normal = [self._write(f"normal-{path.stem}", read_sound(path)) for path in learnt]
        limit_hz = min(recording_info(path).nyquist_hz for path in backgrounds)
        mixed = [part for path in kept for part in _parts(read_sound(path))]
        clips = []
        for number in range(count):
            plain = mixed[(2 * number) % len(mixed)]
            clips.append(Clip(self._write(f"plain-{number}", plain), anomalous=False))
            background = mixed[(2 * number + 1) % len(mixed)]
            snr_db = MIXTURE_SNRS_DB[number % len(MIXTURE_SNRS_DB)]
            chosen = events[self._random.integers(len(events))]
            event = self._event(_limited(read_sound(chosen), limit_hz), background, snr_db)
            path = self._write(f"event-{number}-{snr_db:+.0f}dB", background + event)
            clips.append(Clip(path, anomalous=True, mask=stem_mask(event, background)))
        return EvaluationSet(f"mixture, {name}", normal, clips)

    def _event(self, sound: FloatArray, background: FloatArray, snr_db: float) -> FloatArray:
        """The loudest second of an event, somewhere in the clip, at a level by its own loudness."""
        length = min(round(EVENT_S * RATE_HZ), len(sound))
        energy = np.cumsum(np.concatenate([[0.0], sound.astype(np.float64) ** 2]))
        start = int(np.argmax(energy[length:] - energy[:-length]))
        part = sound[start : start + length] * np.hanning(length) ** 0.2
        power = np.mean(part**2) + 1e-12
        gain = np.sqrt(np.mean(background**2) / power * 10 ** (snr_db / 10))
        event = np.zeros_like(background)
        offset = int(self._random.integers(0, len(background) - length))
        event[offset : offset + length] = gain * part
        return event

    def _write(self, name: str, sound: FloatArray) -> Path:
        path = self._folder / f"{name}.wav"
        soundfile.write(path, sound, RATE_HZ, subtype="FLOAT")
        return path


def _limited(sound: FloatArray, limit_hz: float) -> FloatArray:
    """An event without what the background's recording could not hold: that would give it away."""
    if limit_hz >= RATE_HZ / 2:
        return sound
    rate_hz = round(2 * limit_hz * PASSED_SHARE)
    return _resampled(_resampled(sound, RATE_HZ, rate_hz), rate_hz, RATE_HZ)[: len(sound)]


def _resampled(sound: FloatArray, from_hz: int, to_hz: int) -> FloatArray:
    resampler = Resampler(from_hz, to_hz)
    return np.concatenate([resampler.push(sound), resampler.finish()])


def _by_recording(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Two halves; ESC-10 clips cut from one recording (fold-recording-take) stay together."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        parts = path.stem.split("-")
        name = "-".join(parts[:2]) if len(parts) >= ESC10_NAME_PARTS else path.stem
        groups.setdefault(name, []).append(path)
    halves: tuple[list[Path], list[Path]] = ([], [])
    for group in groups.values():
        halves[2 * len(halves[0]) >= len(paths)].extend(group)
    return halves


def _parts(sound: FloatArray) -> list[FloatArray]:
    length = round(MIXTURE_CLIP_S * RATE_HZ)
    whole = [sound[i : i + length] for i in range(0, len(sound) - length + 1, length)]
    return whole or [np.resize(sound, length)]


def simulated_sets(folder: Path, clips_a_fault: int) -> list[EvaluationSet]:
    """Machines that training has not seen, each with every kind of fault."""
    sets = []
    for seed in SIMULATED_SEEDS:
        machine = Machine(seed, RATE_HZ)
        place = folder / f"machine-{seed}"
        place.mkdir(parents=True, exist_ok=True)
        normal = place / "normal.wav"
        soundfile.write(normal, machine.normal(SIMULATED_NORMAL_S, 0), RATE_HZ, subtype="FLOAT")
        takes = range(clips_a_fault)
        clips = [_plain_clip(place, machine, take) for take in takes]
        clips += [_faulty_clip(place, machine, kind, t) for kind in sorted(FAULTS) for t in takes]
        sets.append(EvaluationSet("simulated", [normal], clips))
    return sets


def _plain_clip(place: Path, machine: Machine, take: int) -> Clip:
    path = place / f"plain-{take}.wav"
    sound = machine.normal(SIMULATED_CLIP_S, FIRST_PLAIN_TAKE + take)
    soundfile.write(path, sound, RATE_HZ, subtype="FLOAT")
    return Clip(path, anomalous=False)


def _faulty_clip(place: Path, machine: Machine, kind: str, take: int) -> Clip:
    number = FIRST_FAULTY_TAKE + take
    fault = Fault(kind, 2.0, SIMULATED_CLIP_S - 4.0, SIMULATED_LEVEL_DB)
    sound, _ = machine.with_faults(SIMULATED_CLIP_S, number, [fault])
    path = place / f"{kind}-{take}.wav".replace(" ", "-")
    soundfile.write(path, sound, RATE_HZ, subtype="FLOAT")
    plain = machine.normal(SIMULATED_CLIP_S, number)
    return Clip(path, anomalous=True, kind=kind, mask=stem_mask(sound - plain, plain))


def stem_mask(event: NDArray[np.floating[Any]], background: NDArray[np.floating[Any]]) -> Mask:
    """Cells in which the event is louder than the background. [columns, rows]."""
    event_power, background_power = _cell_power(event), _cell_power(background)
    audible = event_power > event_power.max() * 10 ** (MASK_FLOOR_DB / 10)
    return np.asarray((event_power > background_power) & audible)


def _cell_power(sound: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    front_end = FrontEnd(power_floor=1e-12, log_offset=0.0, log_scale=1.0)
    stream = LogMel(front_end)
    stream.push(sound.astype(np.float32))
    power = np.exp(stream.finish().astype(np.float64))
    columns = len(power) // CELL_FRAMES
    grid = power[: columns * CELL_FRAMES].reshape(columns, CELL_FRAMES, -1, CELL_BANDS)
    return np.asarray(grid.mean(axis=(1, 3)))
