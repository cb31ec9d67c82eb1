"""One input: what it hears, what its bundle makes of it, and what a hole does to that."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.simulator import RATE_HZ
from edge import inputs as inputs_module
from edge.capture.settings import LivenessSettings, MicrophoneSource
from edge.capture.sound import Block, Outage
from edge.detector import Detector, Findings
from edge.inputs import Input
from edge.settings import BundleSettings, EventSettings, InputSettings
from tests.edge.capture.test_capture import Scripted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.bundle import Bundle
    from edge.capture.sound import Source
    from edge.stretch import Found
    from tests.conftest import Site

FloatArray = NDArray[np.float32]

DEADLINE_S = 60.0
GAP_S = 3.7
IN_FAULT_S, AFTER_FAULT_S = 5.0, 8.0  # the day's first fault lasts from 4 to 6 s
LIVENESS = LivenessSettings()


def blocks_of(samples: FloatArray, at_s: float = 0.0) -> list[Block]:
    size = RATE_HZ // 10
    return [
        Block(samples[first : first + size], RATE_HZ, at_s + first / RATE_HZ)
        for first in range(0, len(samples), size)
    ]


def make_input(site: Site, source: Source, bundle: Bundle | None = None) -> Input:
    settings = InputSettings(
        name="main", source=MicrophoneSource(), bundle=BundleSettings(path=str(site.bundle_path))
    )
    return Input(settings, LIVENESS, EventSettings(), source=source, bundle=bundle)


def run(each: Input) -> list[Found]:
    """All that is found to the end of the sound."""
    found: list[Found] = []
    deadline = time.monotonic() + DEADLINE_S
    with each:
        while not each.ended:
            assert time.monotonic() < deadline
            found += each.step(0.1) or []
        return found + each.finish()


def with_hole(sound: FloatArray, at_s: float) -> list[Block | Outage]:
    """The sound, with so many seconds after which nothing came for a while."""
    at = round(at_s * RATE_HZ)
    outage = Outage("stalled", "no samples", at_s + 2.0)
    return [*blocks_of(sound[:at]), outage, *blocks_of(sound[at:], at_s + GAP_S)]


class Noted(Detector):
    """A detector that keeps what it finds."""

    made: list[Noted]

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.findings: list[Findings] = []
        self.made.append(self)

    def push(self, samples: FloatArray) -> Findings:
        """As it is."""
        self.findings.append(super().push(samples))
        return self.findings[-1]

    def finish(self) -> Findings:
        """As it is."""
        self.findings.append(super().finish())
        return self.findings[-1]

    @property
    def map(self) -> FloatArray:
        """Distances and levels of all of it."""
        rows = [np.hstack([found.distances, found.levels_db]) for found in self.findings]
        return np.concatenate(rows)


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[Noted]:
    """Every detector that an input makes."""
    made: list[Noted] = []
    monkeypatch.setattr(Noted, "made", made, raising=False)
    monkeypatch.setattr(inputs_module, "Detector", Noted)
    return made


def scored_alone(bundle: Bundle, sound: FloatArray) -> FloatArray:
    detector = Detector(bundle, rate_hz=RATE_HZ)
    found = [detector.push(sound), detector.finish()]
    return np.concatenate([np.hstack([f.distances, f.levels_db]) for f in found])


@pytest.mark.parametrize("at_s", [3.3, IN_FAULT_S, AFTER_FAULT_S])
def test_no_window_reaches_across_a_hole(site: Site, noted: list[Noted], at_s: float) -> None:
    """D08: the map before it and the map after it are those of the two parts scored alone."""
    each = make_input(site, Scripted(with_hole(site.sound, at_s)))
    run(each)
    at = round(at_s * RATE_HZ)
    before, after = noted
    np.testing.assert_array_equal(before.map, scored_alone(each.bundle, site.sound[:at]))
    np.testing.assert_array_equal(after.map, scored_alone(each.bundle, site.sound[at:]))
    numbers = each.numbers
    assert (numbers.gaps, numbers.gaps_s) == (1, GAP_S)
    assert numbers.scored_s == pytest.approx(len(site.sound) / RATE_HZ, abs=0.05)


def test_without_a_hole_the_map_is_that_of_the_whole(site: Site, noted: list[Noted]) -> None:
    each = make_input(site, Scripted(list(blocks_of(site.sound))))
    run(each)
    (only,) = noted
    np.testing.assert_allclose(only.map, scored_alone(each.bundle, site.sound), atol=1e-4)
    assert (each.numbers.gaps, each.numbers.gaps_s) == (0, 0.0)


def test_an_event_beside_a_hole_is_marked_and_one_far_from_it_is_not(site: Site) -> None:
    """C05: it may have been longer than what was heard of it; and it is placed in time."""
    found = run(make_input(site, Scripted(with_hole(site.sound, IN_FAULT_S))))
    beside = [one for one in found if one.data_gap]
    assert any(one.event.end_s <= IN_FAULT_S + 0.1 for one in beside)
    assert any(one.event.start_s >= IN_FAULT_S + GAP_S - 0.1 for one in beside)
    far = [one.event for one in found if not one.data_gap]
    assert any(event.start_s - GAP_S == pytest.approx(10.0, abs=0.5) for event in far)
    whole = run(make_input(site, Scripted(list(blocks_of(site.sound)))))
    assert whole
    assert not any(one.data_gap for one in whole)


def test_an_input_that_is_lost_leaves_no_event_open(site: Site) -> None:
    """D05, E11: what was heard of a fault is told though nothing comes any more."""
    release = threading.Event()
    sound = blocks_of(site.sound[: round(IN_FAULT_S * RATE_HZ)])
    lost = Outage("stalled", "no samples", IN_FAULT_S + 2.0)
    each = make_input(site, Scripted([*sound, lost], stuck=release))
    found: list[Found] = []
    deadline = time.monotonic() + DEADLINE_S
    with each:
        while not found:
            assert time.monotonic() < deadline
            found += each.step(0.1) or []
        assert each.status.state == "stalled"
        assert not each.ended
        assert all(one.data_gap for one in found if one.event.end_s > IN_FAULT_S - 0.3)
        release.set()


@pytest.mark.parametrize("samples", [1, 10, 700, 2_400])
def test_a_stretch_too_short_for_a_window_is_no_harm(site: Site, samples: int) -> None:
    """C05: an overflow at each buffer leaves nothing but scraps."""
    scraps: list[Block | Outage] = []
    for number in range(20):
        part = site.sound[number * samples : (number + 1) * samples]
        scraps.append(Block(part, RATE_HZ, number * 0.2, cut=True))
    each = make_input(site, Scripted(scraps))
    run(each)
    assert each.numbers.gaps <= len(scraps)


def test_sound_that_gave_no_score_is_no_sign_of_life(site: Site) -> None:
    """E04, E10, E11: the watchdog is fed by columns of the map, not by samples."""
    release = threading.Event()
    each = make_input(
        site, Scripted(list(blocks_of(site.sound[: RATE_HZ * 6 // 10])), stuck=release)
    )
    deadline = time.monotonic() + DEADLINE_S
    with each:
        while each.numbers.scored_s < 0.45:
            assert time.monotonic() < deadline
            each.step(0.1)
        assert each.numbers.last_score_age_s is None
        release.set()
        while not each.ended:
            assert time.monotonic() < deadline
            each.step(0.1)
        each.finish()
        assert each.numbers.last_score_age_s is not None


def test_an_anomaly_costs_no_more_than_silence_about_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C06: as many windows and as many look-ups, whatever is heard."""
    counts = []
    for sound in (site.sound, np.roll(site.sound[::-1], 7), 0.01 * site.sound):
        bundle, counted = site.open(), [0, 0]
        embed, nearest = bundle.backbone.embed, bundle.bank.nearest

        def count_windows(*window: Any, call: Any = embed, seen: list[int] = counted) -> Any:
            seen[0] += 1
            return call(*window)

        def count_rows(rows: Any, call: Any = nearest, seen: list[int] = counted) -> Any:
            seen[1] += len(rows)
            return call(rows)

        monkeypatch.setattr(bundle.backbone, "embed", count_windows)
        monkeypatch.setattr(bundle.bank, "nearest", count_rows)
        run(make_input(site, Scripted(list(blocks_of(np.asarray(sound, np.float32)))), bundle))
        counts.append(counted)
    assert min(counts[0]) > 0
    assert counts[0] == counts[1] == counts[2]


@pytest.mark.parametrize(
    ("made_with", "now", "state"),
    [
        ("port:1-1.2", "port:1-1.2", "current"),
        ("port:1-1.2", "port:1-1.3", "stale"),
        (None, "port:1-1.3", "current"),
        ("port:1-1.2", None, "current"),
    ],
)
def test_a_calibration_made_with_another_microphone_is_stale(
    site: Site, made_with: str | None, now: str | None, state: str
) -> None:
    """B09: thresholds belong to a microphone, and to no other."""
    bundle = site.open()
    manifest = msgspec.structs.replace(bundle.manifest, microphone=made_with)
    source: Any = Scripted([])
    source.identity = now
    each = make_input(site, source, replaced(bundle, manifest))
    assert each.calibration.state == state
    if state == "stale":
        assert "port:1-1.2" in each.calibration.reason
        assert "port:1-1.3" in each.calibration.reason


def test_a_microphone_that_opens_at_a_lower_rate_makes_the_calibration_stale(site: Site) -> None:
    """A01: what the lower rate can't hold was learnt, and is missing now."""
    noise = np.random.default_rng(0).normal(size=32_000).astype(np.float32) * 0.05
    script = [Block(noise[i : i + 800], 8_000, i / 8_000) for i in range(0, 32_000, 800)]
    each = make_input(site, Scripted(script))
    with each:
        while not each.ended:
            each.step(0.1)
            if each.calibration.state == "stale":
                break
    assert "this goes up to 4000 Hz" in each.calibration.reason


def replaced(bundle: Bundle, manifest: Any) -> Bundle:
    return dataclasses.replace(bundle, manifest=manifest)


def slow_steps(each: Input, blocks: Sequence[Block]) -> float:
    """The load that is told when scoring takes three times as long as the sound."""
    with each:
        for _ in blocks:
            each.step(0.5)
        return each.numbers.real_time_factor


def test_scoring_that_is_too_slow_is_told_as_a_factor(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C02: from 1 on the computer is too slow for its microphones."""

    class Slow(Detector):
        """Takes its time."""

        def push(self, samples: FloatArray) -> Findings:
            time.sleep(3 * len(samples) / RATE_HZ)
            return super().push(samples)

    monkeypatch.setattr(inputs_module, "Detector", Slow)
    blocks = blocks_of(site.sound[: 2 * RATE_HZ])
    assert slow_steps(make_input(site, Scripted(list(blocks))), blocks) > 2.9
