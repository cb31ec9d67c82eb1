"""A microphone that is never given up: opened, watched, killed and opened again, for ever.

The first failure at boot goes through the same loop as every later one. The device is looked up
anew each time, because a reboot or a replug gives it another number.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edge.capture.assembler import Assembler
from edge.capture.cards import alsa_name, first_capture_device, list_cards
from edge.capture.child import Opened, RecordingChild
from edge.capture.holder import holder
from edge.capture.identity import parse_identity, resolve
from edge.capture.pcm import PcmDecoder
from edge.capture.sound import Block, Outage, State
from edge.errors import MicrophoneAbsentError, MicrophoneAmbiguousError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterator

    from edge.capture.cards import Card
    from edge.capture.settings import LivenessSettings, MicrophoneSource

log = logging.getLogger(__name__)

TICK_S = 0.25
PORTAUDIO = (sys.executable, "-m", "edge.capture.portaudio_child")


class _Plan(NamedTuple):
    """How to record from what was found."""

    command: list[str]
    encoding: str
    card: Card | None
    opened: Opened | None  # where the child can't tell


class _Failure(NamedTuple):
    """Why there is no sound now."""

    state: State
    reason: str


class Microphone:
    """A live source.

    Args:
        settings: which microphone, and how.
        liveness: deadlines.
        root: of the system in which it is looked up.
        clock: monotonic seconds.
    """

    live = True

    def __init__(
        self,
        settings: MicrophoneSource,
        liveness: LivenessSettings,
        *,
        root: Path = Path("/"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = parse_identity(settings.device)
        self._settings, self._liveness = settings, liveness
        self._root, self._clock = root, clock
        self._started_s = 0.0
        self.epoch_s: float | None = None
        self.name = f"microphone {settings.device or '(the first that can record)'}"
        self.identity: str | None = None  # of the one that was opened last
        self.overflows = self.openings = 0
        self._opened: Opened | None = None

    @property
    def facts(self) -> dict[str, str | int]:
        """What was asked for and what was got."""
        facts: dict[str, str | int] = {
            "asked_device": self._settings.device,
            "asked_rate_hz": self._settings.rate_hz,
            "backend": self._settings.backend,
            "openings": self.openings,
            "overflows": self.overflows,
        }
        if self._opened is not None:
            got = self._opened
            facts |= {"device": got.device, "rate_hz": got.rate_hz, "channels": got.channels}
        if self.identity is not None:
            facts["identity"] = self.identity
        return facts

    def blocks(self, stop: threading.Event) -> Iterator[Block | Outage]:
        """Sound while there is some; `Outage` while there is none."""
        self._started_s = self.epoch_s = self._clock()
        pause_s = self._liveness.retry_first_s
        before = _Failure("starting", "opening")
        while not stop.is_set():
            yield self._outage(before)
            heard_before = self.openings
            failure = yield from self._session(before, stop)
            if stop.is_set():
                return
            log.warning("%s: %s; trying again", self.name, failure.reason)
            if self.openings > heard_before:
                pause_s = self._liveness.retry_first_s
            yield from self._pause(pause_s, failure, stop)
            state: State = "recovering" if failure.state == "stalled" else failure.state
            before = failure._replace(state=state)
            pause_s = min(2 * pause_s, self._liveness.retry_most_s)

    def _session(
        self, before: _Failure, stop: threading.Event
    ) -> Generator[Block | Outage, None, _Failure]:
        """One child from its start to its end; returns why it ended."""
        try:
            plan = self._plan()
        except (MicrophoneAbsentError, MicrophoneAmbiguousError) as error:
            return _Failure("absent", str(error))
        try:
            child = RecordingChild(plan.command)
        except OSError as error:
            return _Failure("recovering", f"{plan.command[0]}: {error.strerror}")
        try:
            opened = yield from self._open(child, plan, before, stop)
            if isinstance(opened, _Failure):
                return opened
            self._note(opened, plan)
            return (yield from self._listen(child, opened, plan.encoding, stop))
        finally:
            child.kill()

    def _plan(self) -> _Plan:
        """What to record from, looked up anew.

        Raises:
            MicrophoneAbsentError: there is none such now.
            MicrophoneAmbiguousError: there are several such.
        """
        cards = list_cards(self._root)
        try:
            card: Card | None = resolve(self._identity, cards)
        except MicrophoneAbsentError:
            # A sound server is no card: PortAudio and ALSA may still know one of that name.
            if self._identity.kind not in {"first", "name"} or (cards and not self._identity.value):
                raise
            card = None
        if self._settings.backend == "arecord":
            return self._arecord(card)
        wanted = {
            "name": f"(hw:{card.index},{first_capture_device(card)})"
            if card
            else self._identity.value,
            "rate_hz": self._settings.rate_hz,
            "channel": self._settings.channel,
        }
        return _Plan([*PORTAUDIO, json.dumps(wanted)], "f32le", card, None)

    def _arecord(self, card: Card | None) -> _Plan:
        """ALSA's own recorder; its plug layer turns the hardware's rate into the one asked for."""
        device = f"plug{alsa_name(card)}" if card else self._identity.value or "default"
        rate_hz, channels = self._settings.rate_hz, max(1, self._settings.channel)
        command = ["arecord", "-q", "-D", device, "-t", "raw", "-f", "S16_LE"]
        command += ["-r", str(rate_hz), "-c", str(channels)]
        return _Plan(command, "s16le", card, Opened(device, rate_hz, channels))

    def _open(
        self, child: RecordingChild, plan: _Plan, before: _Failure, stop: threading.Event
    ) -> Generator[Outage, None, Opened | _Failure]:
        """Wait until the child records; until then the state and its reason are what they were."""
        deadline = self._clock() + self._liveness.open_within_s
        while not stop.is_set():
            heard = child.wait(TICK_S)
            for told in heard.told:
                if told.opened is not None:
                    child.unread(heard.data)
                    return told.opened
                if told.failed is not None:
                    reason = f"{told.reason}{child.host_error()}"
                    return self._refused(told.failed, reason, plan.card)
            if plan.opened is not None and heard.data:
                child.unread(heard.data)
                return plan.opened
            if heard.over:
                return self._refused("over", child.last_words(), plan.card)
            if self._clock() > deadline:
                within = self._liveness.open_within_s
                return _Failure("recovering", f"did not open within {within:g} s")
            yield self._outage(before)
        return _Failure("ended", "stopped")

    def _refused(self, failed: str, reason: str, card: Card | None) -> _Failure:
        by = holder(card, root=self._root) if card is not None else None
        held = f"; it is held by {by}" if by else ""
        if failed == "absent" and by is None and card is None:
            return _Failure("absent", reason)
        return _Failure("recovering", f"{reason}{held}")

    def _note(self, opened: Opened, plan: _Plan) -> None:
        self._opened, self.openings = opened, self.openings + 1
        self.identity = plan.card.identity if plan.card else f"name:{opened.device}"
        log.info(
            "%s: recording from %s at %d Hz, %d channels (asked for %d Hz)",
            self.name, opened.device, opened.rate_hz, opened.channels, self._settings.rate_hz,
        )  # fmt: skip

    def _listen(
        self, child: RecordingChild, opened: Opened, encoding: str, stop: threading.Event
    ) -> Generator[Block, None, _Failure]:
        decoder = PcmDecoder(opened.channels, encoding, self._settings.channel)
        assembler = Assembler(opened.rate_hz)
        last = self._clock()
        while not stop.is_set():
            heard = child.wait(TICK_S)
            now = self._clock()
            for told in heard.told:
                if told.overflow_at is not None:
                    self.overflows += 1
                    assembler.overflow(told.overflow_at)
            if heard.data:
                last = now
                yield from assembler.push(decoder.push(heard.data), now - self._started_s)
            elif heard.over:
                return _Failure("recovering", f"the recording ended: {child.last_words()}")
            elif now - last > self._liveness.stalled_after_s:
                return _Failure("stalled", f"open, but no samples for {now - last:.1f} s")
        return _Failure("ended", "stopped")

    def _pause(self, pause_s: float, failure: _Failure, stop: threading.Event) -> Iterator[Outage]:
        until = self._clock() + pause_s
        while True:
            yield self._outage(failure)
            left = until - self._clock()
            if left <= 0 or stop.wait(min(left, TICK_S)):
                return

    def _outage(self, why: _Failure) -> Outage:
        return Outage(why.state, why.reason, self._clock() - self._started_s)
