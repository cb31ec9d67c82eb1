"""The commands of the node: `run`, `score`, `devices`, `listen`; imports are left to each.

Those around a bundle's life are in `edge.bundle_commands`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edge.doctor.commands
import edge.status.commands
from edge import bundle_commands
from edge.errors import EarpatchError, RecordingError

if TYPE_CHECKING:
    import argparse

    from edge.bundle import Bundle
    from edge.scoring import Scored

DEFAULT_URL = "mqtt://127.0.0.1:1883"
RUNTIMES, KERNELS = bundle_commands.RUNTIMES, bundle_commands.KERNELS


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this package's commands to the parser."""
    run = commands.add_parser("run", help="listen to a source and publish events over MQTT")
    run.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML settings")
    run.add_argument("--check", action="store_true", help="only say whether the settings are good")
    run.set_defaults(handler=_run)

    score = commands.add_parser("score", help="score recordings with a bundle")
    score.add_argument("bundle", type=Path, metavar="BUNDLE")
    score.add_argument("files", type=Path, nargs="+", metavar="FILE", help="WAV, FLAC or OGG")
    score.add_argument("--json", action="store_true", help="one JSON object a file and line")
    score.add_argument("--maps", type=Path, metavar="DIR", help="write <stem>.npz with the map")
    score.add_argument("--runtime", choices=RUNTIMES, default="auto", help="TFLite runtime")
    score.set_defaults(handler=_score)

    devices = commands.add_parser("devices", help="list microphones, with their configuration")
    devices.add_argument("--json", action="store_true", help="for a program")
    devices.add_argument(
        "--meter", nargs="?", const="", metavar="DEVICE",
        help="show the level of a microphone as it is; the first one unless named",
    )  # fmt: skip
    devices.add_argument("--seconds", type=float, metavar="S", help="of the meter; for ever unless")
    devices.set_defaults(handler=_devices)

    bundle_commands.add_commands(commands)

    contract = commands.add_parser("contract", help="print what a subscriber may rely on")
    contract.add_argument(
        "--schema", action="store_true", help="JSON Schema alone; else AsyncAPI 3 with examples"
    )
    contract.set_defaults(handler=_contract)

    listen = commands.add_parser("listen", help="print the events of nodes as they come")
    listen.add_argument("--url", default=DEFAULT_URL, help=f"broker, default {DEFAULT_URL}")
    listen.add_argument("--username", metavar="NAME", help="who subscribes")
    listen.add_argument("--password-file", type=Path, metavar="FILE", help="one line")
    listen.add_argument("--ca", type=Path, metavar="FILE", help="PEM; the broker's authority")
    listen.add_argument("--topic", default="#", metavar="PREFIX", help="topic prefix of the nodes")
    listen.add_argument("--count", type=int, metavar="N", help="stop after N events")
    listen.add_argument("--seconds", type=float, metavar="S", help="stop after S seconds")
    listen.set_defaults(handler=_listen)

    edge.doctor.commands.add_commands(commands)
    edge.status.commands.add_commands(commands)


def _run(arguments: argparse.Namespace) -> int:
    from edge.node import run_node  # noqa: PLC0415
    from edge.settings import load_settings  # noqa: PLC0415

    path: Path = arguments.config
    settings = load_settings(path)
    if arguments.check:
        from edge.reload import prepare  # noqa: PLC0415
        from edge.starts import Starts  # noqa: PLC0415

        prepared = prepare(settings, Starts(only_look=True))
        inputs = ", ".join(each.name for each in prepared.inputs)
        print(f"{path}: good; node {settings.node.id}, inputs {inputs}")
        return 0
    run_node(settings, reread=lambda: load_settings(path))
    return 0


def _score(arguments: argparse.Namespace) -> int:
    from edge.bundle import open_bundle  # noqa: PLC0415
    from edge.progress import track  # noqa: PLC0415
    from edge.scoring import refuse_colliding_maps  # noqa: PLC0415

    if arguments.maps is not None:
        refuse_colliding_maps(arguments.files)
        _make_folder(arguments.maps)
    bundle = open_bundle(arguments.bundle, runtime=arguments.runtime)
    failed = 0
    for path in track(arguments.files, "Scoring", len(arguments.files), "files"):
        failed += not _score_one(bundle, path, arguments)
    return RecordingError.exit_code if failed else 0


def _score_one(bundle: Bundle, path: Path, arguments: argparse.Namespace) -> bool:
    """Score, print and save one recording; a bad one is reported and the others go on."""
    import msgspec  # noqa: PLC0415

    from edge.scoring import save_map, score_recording  # noqa: PLC0415

    try:
        scored = score_recording(bundle, path)
    except RecordingError as error:
        print(f"earpatch: {error}", file=sys.stderr)
        if arguments.json:
            print(msgspec.json.encode({"path": str(path), "error": str(error)}).decode())
        return False
    if scored.note:
        print(f"earpatch: {path}: {scored.note}", file=sys.stderr)
    if arguments.maps is not None:
        save_map(scored, arguments.maps)
    if arguments.json:
        print(msgspec.json.encode(scored.verdict).decode(), flush=True)
    else:
        learnt_s = sum(r.duration_s for r in bundle.manifest.recordings)
        _print_verdict(scored, learnt_s)
    return True


def _print_verdict(scored: Scored, learnt_s: float) -> None:
    from edge.words import spoken_rate  # noqa: PLC0415

    verdict: Any = scored.verdict
    word = "ANOMALOUS" if verdict.anomalous else "normal"
    print(
        f"{verdict.path}: {word}, score {verdict.score} "
        f"(normal sound reaches it {spoken_rate(verdict.false_alarms_per_day)})"
    )
    for event in verdict.events:
        print(
            f"  {event.start_s:7.2f}-{event.end_s:.2f} s  score {event.score:.2f}  "
            f"{event.summary(learnt_s)}\n"
            f"    peak {event.peak_s:.2f} s, {event.peak_hz / 1000:.2f} kHz, found over "
            f"{event.scale_s:g} s; of normal sound most like "
            f"{event.nearest_recording} at {event.nearest_s:.1f} s"
        )


def _contract(arguments: argparse.Namespace) -> int:
    import msgspec  # noqa: PLC0415

    from edge.delivery.contract import asyncapi, schema  # noqa: PLC0415

    document = schema() if arguments.schema else asyncapi()
    print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
    return 0


def _devices(arguments: argparse.Namespace) -> int:
    if arguments.meter is not None:
        return _meter(arguments)
    import msgspec  # noqa: PLC0415

    from edge.capture.devices import list_microphones, text_of  # noqa: PLC0415

    listing = list_microphones(Path("/"))
    if arguments.json:
        print(msgspec.json.encode(listing).decode())
    else:
        print(*text_of(listing), sep="\n")
    return 0 if any(each.usable for each in listing.microphones) else EarpatchError.exit_code


def _meter(arguments: argparse.Namespace) -> int:
    import time  # noqa: PLC0415

    from edge.capture.capture import Capture  # noqa: PLC0415
    from edge.capture.meter import Meter  # noqa: PLC0415
    from edge.capture.microphone import Microphone  # noqa: PLC0415
    from edge.capture.settings import LivenessSettings, MicrophoneSource  # noqa: PLC0415

    source = MicrophoneSource(device=arguments.meter)
    liveness, meter = LivenessSettings(), Meter()
    until = time.monotonic() + (arguments.seconds or float("inf"))
    with Capture(Microphone(source, liveness), liveness) as capture:
        try:
            while time.monotonic() < until:
                capture.read(timeout_s=0.1)
                meter.show(capture.status)
        finally:
            meter.end()
    return 0


def _listen(arguments: argparse.Namespace) -> int:
    from edge.delivery import topics  # noqa: PLC0415
    from edge.delivery.listen import print_events  # noqa: PLC0415
    from edge.delivery.settings import broker_settings, topic_prefix  # noqa: PLC0415

    prefix = arguments.topic.removesuffix("/")
    topic = prefix if prefix == "#" else topics.topic_of(topic_prefix(prefix), "+", topics.EVENT)
    settings = broker_settings(
        arguments.url, arguments.username, arguments.password_file, arguments.ca
    )
    print_events(settings, topic, count=arguments.count, seconds=arguments.seconds)
    return 0


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EarpatchError(f"{folder}: can't be made a folder ({error.strerror})") from None
