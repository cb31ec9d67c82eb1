"""Each input's microphone as ALSA and as PortAudio see it, who holds it, and how it sounds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge.capture.capture import Capture
from edge.capture.cards import list_cards
from edge.capture.devices import list_microphones
from edge.capture.holder import holder
from edge.capture.identity import is_ambiguous, parse_identity, resolve
from edge.capture.microphone import Microphone
from edge.capture.settings import MicrophoneSource, RecordingSource
from edge.doctor.check import Check
from edge.errors import EarpatchError, MicrophoneAbsentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.capture.capture import InputStatus
    from edge.capture.cards import Card
    from edge.capture.devices import Listing
    from edge.capture.settings import LivenessSettings
    from edge.doctor.check import State, Visit
    from edge.settings import AnySource

LISTEN_S, ENOUGH_S = 2.0, 0.1
STATES = "docs/microphones.md says what each state means"
STOPPED = "end it: kill -9 its number, or resume it with fg where it was started"


def checks(visit: Visit) -> Iterator[Check]:
    """All of them."""
    if visit.settings is None:
        yield Check("microphone", "skipped", "no configuration; see 'earpatch devices'")
        return
    inputs = visit.settings.all_inputs()
    listing = None
    for each in inputs:
        name = f"mic {each.name}" if len(inputs) > 1 else "microphone"
        if not isinstance(each.source, MicrophoneSource):
            yield other_source(name, each.source)
            continue
        listing = listing or list_microphones(visit.root)
        yield from _microphone(name, each.name, each.source, listing, visit)


def other_source(name: str, source: AnySource) -> Check:
    """An input that is no microphone."""
    if not isinstance(source, RecordingSource):
        return Check(name, "skipped", "sound comes from standard input")
    from pathlib import Path  # noqa: PLC0415

    from edge.recording import recording_info  # noqa: PLC0415

    try:
        info = recording_info(Path(source.path))
    except EarpatchError as error:
        return Check(name, "failed", str(error), "name another recording in [source] path")
    text = f"a recording: {source.path}, {info.duration_s:.0f} s at {info.rate_hz} Hz"
    return Check(name, "ok", text)


def _microphone(
    name: str, input_name: str, source: MicrophoneSource, listing: Listing, visit: Visit
) -> Iterator[Check]:
    """A09, A12, A17."""
    identity = parse_identity(source.device)
    card: Card | None = None
    try:
        card = resolve(identity, list_cards(visit.root))
    except MicrophoneAbsentError as error:
        if not _is_server(source, listing):
            yield Check(name, "failed", str(error), "earpatch devices lists what is here")
            return
        yield Check(name, "warning", f"{source.device or 'default'}: a sound server, not a card",
                    "a server may give another microphone's sound; name a card")  # fmt: skip
    except EarpatchError as error:
        yield Check(name, "failed", str(error), "earpatch devices lists what is here")
        return
    if card is not None:
        ambiguous = is_ambiguous(identity, card)
        todo = f'write device = "{card.identity}": a second one could be taken for it'
        state: State = "warning" if ambiguous and source.device else "ok"
        yield Check(name, state, f"ALSA has {card.describe()}", todo * (state == "warning"))
        yield portaudio_check(card, source, listing, visit)
    yield sound_check(input_name, source, card, visit)


def _is_server(source: MicrophoneSource, listing: Listing) -> bool:
    """Whether PortAudio knows a device of that name which is no card."""
    wanted = source.device.lower()
    servers = [each for each in listing.microphones if each.device == each.portaudio]
    return any(wanted in each.name.lower() for each in servers)


def portaudio_check(card: Card, source: MicrophoneSource, listing: Listing, visit: Visit) -> Check:
    """PortAudio's own list, which lacks what something holds."""
    if listing.trouble:
        todo = "restart the sound server, or write backend = 'arecord'"
        return Check("PortAudio", _weight(source), f"could not be asked: {listing.trouble}", todo)
    found = next((each for each in listing.microphones if each.device == card.identity), None)
    if found is not None and found.portaudio is not None:
        rates = ", ".join(map(str, found.rates_hz)) or "unknown"
        return Check("PortAudio", "ok", f"has it as {found.portaudio}, rates {rates} Hz")
    if visit.running:
        return Check("PortAudio", "ok", "does not list it while the node holds it")
    by = holder(card, root=visit.root)
    text = f"does not list it: held by {by}" if by else "does not list it"
    return Check("PortAudio", _weight(source), text, _free(by))


def _weight(source: MicrophoneSource) -> State:
    """What PortAudio can't do matters to those who use it."""
    return "failed" if source.backend == "portaudio" else "warning"


def _free(by: str | None) -> str:
    if by is None:
        return "write backend = 'arecord'; ALSA alone can do it"
    return STOPPED if "stopped" in by else "end that program; a card can be opened once"


def sound_check(
    input_name: str, source: MicrophoneSource, card: Card | None, visit: Visit
) -> Check:
    """Two seconds of it; of a running node, what it hears."""
    if visit.snapshot is not None:
        inputs = visit.snapshot.health.inputs
        health = next((each for each in inputs if each.name == input_name), None)
        if health is None:
            todo = "restart it: sudo systemctl restart earpatch"
            return Check("sound", "warning", "the running node doesn't know this input", todo)
        return heard_check(health.state, health.reason, health.level_dbfs, "the running node says:")
    by = holder(card, root=visit.root) if card is not None else None
    if by is not None:
        return Check("sound", "failed", f"can't listen: held by {by}", _free(by))
    if visit.running:
        return Check("sound", "skipped", "a node runs that doesn't say what it hears")
    assert visit.settings is not None  # noqa: S101  (`checks` has looked)
    status = listen(source, visit.settings.liveness, visit.root)
    return heard_check(status.state, status.reason, status.level_dbfs, "heard for 2 s:")


def listen(source: MicrophoneSource, liveness: LivenessSettings, root: Path) -> InputStatus:
    """How it stands after two seconds of sound, or after as long as it may take to open."""
    deadline_s = time.monotonic() + liveness.open_within_s + LISTEN_S
    began_s: float | None = None
    with Capture(Microphone(source, liveness, root=root), liveness) as capture:
        while time.monotonic() < deadline_s:
            capture.read(timeout_s=ENOUGH_S)
            status = capture.status
            if began_s is None and status.last_frame_age_s is not None:
                began_s = time.monotonic()
            if began_s is not None and time.monotonic() > began_s + LISTEN_S:
                break
        return capture.status


def heard_check(state: str, reason: str, level_dbfs: float | None, how: str) -> Check:
    """An input's state in words."""
    level = "no level" if level_dbfs is None else f"{level_dbfs:.1f} dBFS"
    text = f"{how} {state}, {level}" + (f": {reason}" if reason else "")
    return (
        Check("sound", "ok", text) if state == "hearing" else Check("sound", "failed", text, STATES)
    )
