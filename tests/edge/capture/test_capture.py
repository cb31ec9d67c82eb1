"""A source in a thread of its own: nothing is lost that can wait, nothing hangs."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.capture import capture as capture_module
from edge.capture.capture import Capture
from edge.capture.settings import LevelRule, LivenessSettings
from edge.capture.sound import Block, Outage
from edge.errors import RecordingError, SettingsError
from tests.edge.delivery.test_listen import wait_until

FloatArray = NDArray[np.float32]

RATE_HZ = 16_000
DEADLINE_S = 20.0
LIVENESS = LivenessSettings()


def sound(seconds: float, seed: int = 0) -> FloatArray:
    samples = np.random.default_rng(seed).normal(size=round(seconds * RATE_HZ))
    return np.asarray(0.1 * samples, np.float32)


def blocks_of(samples: FloatArray, *, seconds: float = 0.1, at_s: float = 0.0) -> list[Block]:
    size = round(seconds * RATE_HZ)
    return [
        Block(samples[i : i + size], RATE_HZ, at_s + i / RATE_HZ)
        for i in range(0, len(samples), size)
    ]


class Scripted:
    """A source that yields its script, then fails or waits as told; it never looks at `stop`."""

    name = "scripted"
    epoch_s: float | None = None

    def __init__(
        self,
        script: Sequence[Block | Outage],
        *,
        live: bool = False,
        error: Exception | None = None,
        stuck: threading.Event | None = None,
    ) -> None:
        self._script, self._error, self._stuck = script, error, stuck
        self.live = live
        self.facts: dict[str, str | int] = {}

    def blocks(self, stop: threading.Event) -> Iterator[Block | Outage]:
        """The script."""
        del stop
        yield from self._script
        if self._stuck is not None:
            self._stuck.wait(DEADLINE_S)
        if self._error is not None:
            raise self._error


def captured(capture: Capture, found: list[Block] | None = None) -> list[Block]:
    """All of it, to the end."""
    found = [] if found is None else found
    while not capture.ended:
        if (block := capture.read(timeout_s=DEADLINE_S)) is not None:
            found.append(block)
    return found


def joined(blocks: list[Block]) -> FloatArray:
    return np.concatenate([np.empty(0, np.float32), *[block.samples for block in blocks]])


def test_what_can_wait_is_not_dropped_even_in_blocks_larger_than_the_ring() -> None:
    samples = sound(10.0)
    script = [
        Block(samples, RATE_HZ, 0.0), Block(samples[:700], RATE_HZ, 10.0)
    ]  # fmt: skip
    with Capture(Scripted(script), LIVENESS) as capture:
        found = captured(capture)
    assert np.array_equal(joined(found), np.concatenate([samples, samples[:700]]))
    assert capture.status.dropped_s == 0
    assert capture.status.state == "ended"


def test_what_cannot_wait_is_dropped_in_one_piece_and_said() -> None:
    """C01, C05: a slow reader never stops the microphone; overload is visible."""
    script = blocks_of(sound(20.0))
    with Capture(Scripted(script, live=True), LIVENESS) as capture:
        wait_until(lambda: capture.status.state == "ended")
        found = captured(capture)
    assert 0 < capture.status.dropped_s < 20
    assert capture.status.overloaded
    heard_s = len(joined(found)) / RATE_HZ
    assert heard_s + capture.status.dropped_s == pytest.approx(20.0)


@pytest.mark.parametrize("error", [RecordingError("a.flac: damaged"), SettingsError("other")])
def test_the_source_s_own_error_is_handed_over_after_its_sound(error: Exception) -> None:
    script = blocks_of(sound(1.0))
    with Capture(Scripted(script, error=error), LIVENESS) as capture:
        heard: list[Block] = []
        with pytest.raises(type(error)) as raised:
            captured(capture, heard)
    assert raised.value is error
    assert len(joined(heard)) == RATE_HZ


def test_an_unexpected_error_is_named_with_its_source() -> None:
    with (
        Capture(Scripted([], error=OSError(5, "Input/output error")), LIVENESS) as capture,
        pytest.raises(RecordingError, match=r"^scripted: .*Input/output error"),
    ):
        captured(capture)


def leave(capture: Capture) -> None:
    with capture, suppress(RecordingError):
        capture.read()


def test_leaving_never_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """D01, D05: a read that never returns is abandoned."""
    monkeypatch.setattr(capture_module, "WAIT_S", 0.02)
    release = threading.Event()
    long = [Block(sound(20.0), RATE_HZ, 0.0)]  # the ring is full and the writer waits
    failing = OSError("gone")
    for scripted in (
        Scripted([], stuck=release), Scripted(long), Scripted(long, error=failing)
    ):  # fmt: skip
        leaving = threading.Thread(target=leave, args=(Capture(scripted, LIVENESS),), daemon=True)
        leaving.start()
        leaving.join(DEADLINE_S)
        assert not leaving.is_alive()
    release.set()


def test_the_state_and_the_level_are_told_as_they_are() -> None:
    """E01: digital silence is a state of the input, and its level is null, never 0 dBFS."""
    release = threading.Event()
    silence = np.zeros(3 * RATE_HZ, np.float32)
    script = [*blocks_of(sound(2.0)), *blocks_of(silence, at_s=2.0)]
    with Capture(Scripted(script, stuck=release), LIVENESS) as capture:
        wait_until(lambda: capture.status.state == "silent", lambda: capture.read(timeout_s=0.01))
        status = capture.status
        release.set()
    assert status.level_dbfs is None
    assert status.reason == "digital silence"
    assert status.last_frame_age_s is not None


def test_level_rules_hear_what_is_not_fit_to_be_scored() -> None:
    """E15: an overdriven microphone is no reason to miss that it is loud."""
    rule = LevelRule(name="loud", above_dbfs=-6.0, for_s=2.0)
    clipped = [
        block._replace(clipped_share=0.5)
        for block in blocks_of(np.sign(sound(4.0)).astype(np.float32))
    ]
    with Capture(Scripted(clipped), LIVENESS, (rule,)) as capture:
        captured(capture)
        (loud,) = capture.take_loud()
    assert (loud.start_s, loud.end_s) == (0.0, 2.0)
    assert capture.take_loud() == []
