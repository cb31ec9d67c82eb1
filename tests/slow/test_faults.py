"""Slow evidence: a hundred faults in a row, and an hour of a scoring loop that is too slow.

A real recording child with a scripted PyAudio, the real capture, detector and bundle. Each sample
tells when it was heard, so what is missing is known, and compared with what the input says.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge import inputs
from edge.capture.settings import LivenessSettings, MicrophoneSource
from edge.detector import Detector
from edge.inputs import Input
from edge.settings import BundleSettings, EventSettings, InputSettings
from tests.edge.capture.faking import FakeSound, fake
from tests.edge.capture.listening import GAP_S
from tests.fake_pyaudio.script import HEADPHONES, MICROPHONE, Script
from tests.fake_pyaudio.timecode import PERIOD, frames_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.capture.sound import Block
    from edge.detector import Findings
    from tests.conftest import Site

__all__ = ["fake"]

pytestmark = pytest.mark.faults

RATE_HZ = 48_000
FAULTS = 100
SEED = 20_261_125
RECOVERED_S = 30.0
SOUND_S = 2.5  # heard before and after each fault: a loss that nobody told of is found by then
SPEED = 4.0  # of the hour
SLOWNESS = 2.0  # scoring takes that many times as long as the sound lasts
LARGEST_GROWTH_MIB = 10.0


class Watched:
    """An input that is stepped, and the truth about the sound that it was given."""

    def __init__(self, fake: FakeSound, site: Site, liveness: LivenessSettings) -> None:
        settings = InputSettings(
            name="main",
            source=MicrophoneSource(),
            bundle=BundleSettings(path=str(site.bundle_path)),
        )
        source = fake.microphone(liveness=liveness)
        self.input = Input(settings, liveness, EventSettings(), source=source)
        self.scored_s = self.missing_s = 0.0
        self._last: int | None = None
        self._read = self.input.capture.read
        setattr(self.input.capture, "read", self._note)  # noqa: B010  (mypy allows no other way)

    def _note(self, *, timeout_s: float) -> Block | None:
        block = self._read(timeout_s=timeout_s)
        if block is not None:
            frames = frames_of(block.samples)
            if self._last is not None:
                self.missing_s += float((frames[0] - self._last - 1) % PERIOD) / block.rate_hz
            self.missing_s += float(np.sum((np.diff(frames) - 1) % PERIOD)) / block.rate_hz
            self._last = int(frames[-1])
            self.scored_s += block.duration_s
        return block

    def until(self, condition: Callable[[], bool], within_s: float) -> float:
        """Step until something is so; returns how long that took."""
        began = time.monotonic()
        while not condition():
            self.input.step(0.05)
            assert time.monotonic() - began < within_s, f"waited in vain: {self.input.status}"
        return time.monotonic() - began

    def score(self, seconds: float) -> float:
        """Step until that much more sound was scored."""
        enough_s = self.scored_s + seconds
        return self.until(lambda: self.scored_s >= enough_s, seconds + RECOVERED_S)

    def spend(self, seconds: float) -> None:
        """Step for a time."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, seconds + RECOVERED_S)


GOOD: dict[str, Any] = {
    "sound": "good", "open": "ok", "initialize": "ok", "open_error": None,
    "devices": (HEADPHONES, MICROPHONE),
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "unplugged": {"sound": "stopped", "devices": (HEADPHONES,)},
    "unplugged, process crashes": {"sound": "crash", "devices": ()},
    "stalled": {"sound": "stopped"},
    "stalled, then open hangs": {"sound": "stopped", "open": "hang"},
    "aborted, then busy": {"sound": "abort", "open_error": (-9985, "Device unavailable")},
    "crashed, and while initialised": {"sound": "crash", "initialize": "crash"},
    "zeros": {"sound": "zeros"},
    "constant": {"sound": "constant"},
    "frozen": {"sound": "frozen"},
    "overflow": {},
    "loss without a word": {},
}


def provoke(fake: FakeSound, watched: Watched, kind: str, down_s: float, number: int) -> None:
    """One fault, from its beginning to its end."""
    if KINDS[kind]:
        fake.change(**KINDS[kind])
        watched.spend(down_s)
        fake.change(**GOOD)
    else:
        fake.change(loss=(number, min(down_s, 1.5), kind == "overflow"))


def test_a_hundred_faults_in_a_row(fake: FakeSound, site: Site) -> None:
    """D01, D05, D07, D08: no restart, no hang, soon over, and each gap accounted for."""
    dice, watched = random.Random(SEED), Watched(fake, site, LivenessSettings())
    recoveries: dict[str, list[float]] = {}
    errors: list[tuple[float, str]] = []
    states: set[str] = set()
    with watched.input:
        watched.score(SOUND_S)
        thread = watched.input.capture._thread
        for number in range(1, FAULTS + 1):
            kind, down_s = dice.choice(list(KINDS)), dice.uniform(0.2, 5.0)
            said_s, true_s = watched.input.numbers.gaps_s, watched.missing_s
            provoke(fake, watched, kind, down_s, number)
            states.add(watched.input.status.state)
            recoveries.setdefault(kind, []).append(watched.score(0.1))
            watched.score(SOUND_S)
            said_s = watched.input.numbers.gaps_s - said_s
            errors.append(
                (said_s - (watched.missing_s - true_s), f"{number} {kind} {down_s:.1f} s")
            )
        facts, numbers = watched.input.source.facts, watched.input.numbers
        assert watched.input.capture._thread is thread
        assert thread.is_alive()
    worst, where = max(errors, key=lambda error: abs(error[0]))
    print(f"\n{FAULTS} faults, {facts['openings']} openings, {facts['overflows']} overflows")
    for kind, found in sorted(recoveries.items()):
        print(f"  {kind}: {len(found)} times, heard again within {max(found):.1f} s")
    print(f"  states at the end of a fault: {', '.join(sorted(states))}")
    print(f"  {numbers.gaps} gaps, {numbers.gaps_s:.2f} s; truly missing {watched.missing_s:.2f} s")
    print(f"  largest error of a gap {worst * 1000:+.0f} ms ({where})")
    assert max(max(found) for found in recoveries.values()) <= RECOVERED_S
    assert abs(worst) <= GAP_S, [error for error in errors if abs(error[0]) > GAP_S]


class Slow(Detector):
    """Takes `SLOWNESS` times as long as its sound, at the speed of this test."""

    def push(self, samples: Any) -> Findings:
        """As it is, and late."""
        began = time.monotonic()
        found = super().push(samples)
        due_s = SLOWNESS * len(samples) / RATE_HZ / SPEED
        time.sleep(max(0.0, began + due_s - time.monotonic()))
        return found


def resident_mib() -> float:
    """Of this process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def test_an_hour_of_a_scoring_loop_that_is_too_slow(
    tmp_path: Path, fake: FakeSound, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C01, C02, C05, C08, C09: no crash, flat memory, and what was dropped is said."""
    minutes = float(os.environ.get("EARPATCH_SLOW_MINUTES", "60"))
    monkeypatch.setattr(inputs, "Detector", Slow)
    fast = FakeSound(tmp_path, clock=lambda: time.monotonic() * SPEED)
    fake.write(Script(speed=SPEED))
    liveness = LivenessSettings(open_within_s=8.0 * SPEED, stalled_after_s=4.0 * SPEED)
    watched = Watched(fast, site, liveness)
    sizes = []
    with watched.input:
        watched.score(10.0)
        for _ in range(round(minutes)):
            watched.spend(60.0 / SPEED)
            sizes.append(resident_mib())
        status, numbers = watched.input.status, watched.input.numbers
        facts = watched.input.source.facts
    early, late = np.median(sizes[: len(sizes) // 3]), np.median(sizes[-len(sizes) // 3 :])
    print(
        f"\n{minutes:g} minutes of sound at {RATE_HZ} Hz, {SPEED:g} times as fast as real: "
        f"scored {numbers.scored_s} s, dropped {status.dropped_s} s in {numbers.gaps} gaps of "
        f"{numbers.gaps_s} s (truly missing {watched.missing_s:.2f} s), "
        f"{facts['overflows']} overflows, factor {numbers.real_time_factor * SPEED:.2f}\n"
        f"  resident {early:.1f} MiB in the first third, {late:.1f} MiB in the last, "
        f"{min(sizes):.1f} to {max(sizes):.1f} MiB; every tenth: "
        f"{', '.join(f'{size:.1f}' for size in sizes[:: max(1, len(sizes) // 10)])}"
    )
    assert facts["openings"] == 1
    assert status.state == "hearing"
    assert status.overloaded
    assert status.dropped_s > minutes * 60 / 4
    assert numbers.gaps_s == pytest.approx(watched.missing_s, abs=GAP_S * numbers.gaps)
    assert late - early <= LARGEST_GROWTH_MIB
