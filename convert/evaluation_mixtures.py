"""Mixtures as sets: real events in real backgrounds, at a known level and in known cells.

Each background is split by recording, and both halves take their turn as what is learnt. Recordings
from different microphones have arbitrary gain, so every one of them is brought to the same level
first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import soundfile

from convert.evaluation_masks import stem_mask
from convert.evaluation_sets import Clip, EvaluationSet
from convert.pretrain_sounds import HELD_OUT_FOLDS, RATE_HZ, is_held_out_slider, read_sound
from edge.recording import recording_info
from edge.resample import Resampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    Halves = tuple[list[Path], list[Path]]

Item = TypeVar("Item")
SNRS_DB = (-6.0, 0.0, 6.0)
CLIP_S, EVENT_S = 5.0, 1.0
BACKGROUND_DBFS = -32.0
QUIETEST = 1e-7  # RMS below which a recording holds nothing to bring to a level
PASSED_SHARE = 0.92  # of the background's band: a filter needs room
BACKGROUND_CLASSES = ("rain", "sea_waves")
STATIONARY_CLASSES = (*BACKGROUND_CLASSES, "helicopter")  # no events in themselves


def mixture_sets(data: Path, folder: Path, seed: int, events_a_set: int) -> list[EvaluationSet]:
    """ESC-10 events of folds 4 and 5 in slide rail, rain and sea, with masks from the stems.

    Args:
        data: a folder with `esc10/` and `slider_id00/`.
        folder: where the mixed clips are written.
        seed: the same seed mixes the same clips.
        events_a_set: how many clips with an event each set gets.

    Returns:
        Two sets of one name for each background: either half is learnt, the other one mixed.
    """
    events = _events_by_class(data)
    sets = []
    for name, halves in _backgrounds(data).items():
        if not events or not all(halves):
            continue
        for turn, (learnt, mixed) in enumerate((halves, halves[::-1])):
            place = folder / f"{name}-{turn}".replace(" ", "-")
            mixer = _Mixer(place, np.random.default_rng([seed, turn]))
            sets.append(mixer.make(f"mixture, {name}", learnt, mixed, events, events_a_set))
    return sets


def _events_by_class(data: Path) -> dict[str, list[Path]]:
    events: dict[str, list[Path]] = {}
    for path in sorted(data.glob("esc10/*/*.ogg")):
        if path.name[0] in HELD_OUT_FOLDS and path.parent.name not in STATIONARY_CLASSES:
            events.setdefault(path.parent.name, []).append(path)
    return events


def _backgrounds(data: Path) -> dict[str, Halves]:
    """ESC-10 is split by fold, so no recording stands on both sides; the slide rail by time."""
    slider = [p for p in data.glob("slider_id00/normal/*.flac") if is_held_out_slider(p)]
    slider.sort(key=lambda path: int(path.stem.rsplit("_", 1)[-1]))
    half = len(slider) // 2
    found: dict[str, Halves] = {"slide rail": (slider[:half], slider[half:])}
    first, second = HELD_OUT_FOLDS
    for name in BACKGROUND_CLASSES:
        of_fold = [sorted(data.glob(f"esc10/{name}/{fold}-*.ogg")) for fold in (first, second)]
        found[name] = (of_fold[0], of_fold[1])
    return found


class _Mixer:
    """Mixes events into one half of one kind of background."""

    def __init__(self, folder: Path, random: np.random.Generator) -> None:
        self._folder, self._random = folder, random
        folder.mkdir(parents=True, exist_ok=True)

    def make(
        self,
        name: str,
        learnt: list[Path],
        mixed: list[Path],
        events: dict[str, list[Path]],
        count: int,
    ) -> EvaluationSet:
        """Every part of the mixed half stands once as it is; events come to parts in turn."""
        normal = [
            self._write(f"normal-{path.stem}", _levelled(read_sound(path))) for path in learnt
        ]
        limit_hz = min(recording_info(path).nyquist_hz for path in [*learnt, *mixed])
        parts = [part for path in mixed for part in _parts(_levelled(read_sound(path)))]
        clips = [
            Clip(self._write(f"plain-{number}", part), anomalous=False)
            for number, part in enumerate(parts)
        ]
        backgrounds = self._in_turn(parts)
        schedule = self._schedule(events)
        for number in range(count):
            chosen, snr_db = next(schedule)
            background = next(backgrounds)
            event = self._event(_limited(read_sound(chosen), limit_hz), background, snr_db)
            path = self._write(f"event-{number}-{snr_db:+.0f}dB", background + event)
            mask = stem_mask(event, background)
            clips.append(Clip(path, anomalous=True, mask=mask, snr_db=snr_db))
        return EvaluationSet(name, normal, clips)

    def _schedule(self, events: dict[str, list[Path]]) -> Iterator[tuple[Path, float]]:
        """Events and SNRs without end: in three rounds, each class comes once at each SNR."""
        recordings = {name: self._in_turn(paths) for name, paths in events.items()}
        names = sorted(events)
        while True:
            order = [names[i] for i in self._random.permutation(len(names))]
            for turn in range(len(SNRS_DB)):
                for place, name in enumerate(order):
                    yield next(recordings[name]), SNRS_DB[(place + turn) % len(SNRS_DB)]

    def _in_turn(self, items: Sequence[Item]) -> Iterator[Item]:
        """Every item once in random order, and again in another, without end."""
        while True:
            yield from (items[i] for i in self._random.permutation(len(items)))

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


def _levelled(sound: FloatArray) -> FloatArray:
    """A recording at `BACKGROUND_DBFS`: RMS, full scale is an amplitude of 1."""
    rms = max(float(np.sqrt(np.mean(sound.astype(np.float64) ** 2))), QUIETEST)
    return np.asarray(sound * np.float32(10 ** (BACKGROUND_DBFS / 20) / rms))


def _limited(sound: FloatArray, limit_hz: float) -> FloatArray:
    """An event without what the background's recording could not hold: that would give it away."""
    if limit_hz >= RATE_HZ / 2:
        return sound
    rate_hz = round(2 * limit_hz * PASSED_SHARE)
    return _resampled(_resampled(sound, RATE_HZ, rate_hz), rate_hz, RATE_HZ)[: len(sound)]


def _resampled(sound: FloatArray, from_hz: int, to_hz: int) -> FloatArray:
    resampler = Resampler(from_hz, to_hz)
    return np.concatenate([resampler.push(sound), resampler.finish()])


def _parts(sound: FloatArray) -> list[FloatArray]:
    length = round(CLIP_S * RATE_HZ)
    whole = [sound[i : i + length] for i in range(0, len(sound) - length + 1, length)]
    return whole or [np.resize(sound, length)]
