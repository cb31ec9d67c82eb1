"""`earpatch demo`: simulate, calibrate, listen, alarm; everything for real but the machine."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from calibration.backbones import builtin_backbone
from calibration.learn import learn
from calibration.simulator import FAULTS, RATE_HZ, Box, Fault, Machine
from calibration.survey import survey
from convert.demo_broker import DemoBroker
from edge.bundle import open_bundle
from edge.delivery import topics
from edge.delivery.listen import EventSubscriber
from edge.delivery.messages import AnomalyEvent, describe
from edge.errors import EarpatchError
from edge.node import run_node
from edge.progress import track
from edge.scoring import score_recording
from edge.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from edge.settings import Settings

NODE, PREFIX = "demo-pump", "demo/hall-1/line-2"
NORMAL_TAKES, NORMAL_S = 8, 30.0
DAY_S, DAY_TAKE = 30.0, 99
FAULT_STARTS_S = (5.0, 14.0, 22.0)
SHORTEST_S, LONGEST_S = 1.5, 4.0
LEVEL_DB = 15.0  # above the normal sound in the fault's own band
SUBSCRIBER_WAIT_S = 10.0

CONFIG_FILE = "node.toml"
CONFIG = """\
[node]
id = "{node}"
state_dir = "state"

[bundle]
path = "bundle"

[source]
kind = "file"
path = "day.wav"
realtime = false

[mqtt]
url = "{url}"
protocol = "3.1.1"                # all that the demo's own broker knows
topic_prefix = "{prefix}"
"""


def run_demo(folder: Path, seed: int) -> int:
    """Run the demo in a folder; returns 0 when every fault was found and nothing else was."""
    machine = Machine(seed)
    _make_sound(folder, machine)
    truth = _make_day(folder, machine)
    source = builtin_backbone()
    heard = survey(folder / "normal")
    manifest = learn(folder / "bundle", source, heard).manifest
    print(
        f"2. Calibration learnt {heard.duration_s:.0f} s of normal sound: "
        f"bank of {manifest.bank.rows} embeddings, bundle {manifest.bundle_id}"
    )
    with DemoBroker() as broker:
        config = folder / CONFIG_FILE
        config.write_text(CONFIG.format(node=NODE, url=broker.url, prefix=PREFIX))
        print(f"3. Broker at {broker.url}, a subscriber on {PREFIX}/+/event")
        print(f"4. earpatch run --config {config}   (30 s of sound, as fast as it goes)\n")
        received = _run_with_subscriber(load_settings(config))
    found = _compare(received, truth)
    scored = score_recording(open_bundle(folder / "bundle"), folder / "day.wav")
    from convert.picture import draw  # noqa: PLC0415  (matplotlib)

    picture = folder / "demo.png"
    boxes = [box for _, box in truth]
    draw(picture, folder / "day.wav", manifest.front_end, scored, boxes)
    print(f"\n5. Spectrogram, anomaly map and boxes: {picture}")
    return 0 if found else 1


def _make_sound(folder: Path, machine: Machine) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CONFIG_FILE).is_file():
        raise EarpatchError(f"{folder}: holds other files; choose a new folder with --output")
    for left in ("normal", "state", "bundle"):  # of an earlier demo
        shutil.rmtree(folder / left, ignore_errors=True)
    try:
        (folder / "normal").mkdir(parents=True, exist_ok=True)
        (folder / CONFIG_FILE).touch()
    except OSError as error:
        raise EarpatchError(f"{folder}: can't write there ({error.strerror})") from None
    takes = range(NORMAL_TAKES)
    for take in track(takes, "Simulating the machine", NORMAL_TAKES, "recordings"):
        sound = machine.normal(NORMAL_S, take)
        soundfile.write(folder / "normal" / f"take-{take}.wav", sound, RATE_HZ)
    print(
        f"1. A simulated machine (seed {machine.seed}, shaft at {machine.shaft_hz:.1f} Hz) ran "
        f"normally for {NORMAL_TAKES * NORMAL_S:.0f} s, then for {DAY_S:.0f} s with three faults"
    )


def _make_day(folder: Path, machine: Machine) -> list[tuple[str, Box]]:
    """A recording with three faults of different kinds; the seed chooses which, and how long."""
    random = np.random.default_rng([machine.seed, DAY_TAKE])
    # The imbalance of a shaft at 25 Hz lies within the lowest row alone: not a picture to start on.
    kinds = random.permutation(sorted(set(FAULTS) - {"imbalance"}))[: len(FAULT_STARTS_S)]
    faults = [
        Fault(str(kind), start_s, float(random.uniform(SHORTEST_S, LONGEST_S)), LEVEL_DB)
        for kind, start_s in zip(kinds, FAULT_STARTS_S, strict=True)
    ]
    sound, boxes = machine.with_faults(DAY_S, DAY_TAKE, faults)
    soundfile.write(folder / "day.wav", np.clip(sound, -1, 1), RATE_HZ)
    return [(fault.kind, box) for fault, box in zip(faults, boxes, strict=True)]


def _run_with_subscriber(settings: Settings) -> list[AnomalyEvent]:
    """Run the node while a real subscriber gets what it finds."""
    received: list[AnomalyEvent] = []
    expected: list[int] = []
    late = threading.Event()

    def finished() -> bool:
        return late.is_set() or (bool(expected) and len(received) >= expected[0])

    topic = topics.topic_of(PREFIX, "+", topics.EVENT)
    with EventSubscriber(settings.mqtt, topic) as subscriber:
        expected.append(run_node(settings))
        timer = threading.Timer(SUBSCRIBER_WAIT_S, late.set)
        timer.start()
        for event in subscriber.events(finished):
            if isinstance(event, AnomalyEvent):
                received.append(event)  # noqa: PERF401  (`finished` counts them as they come)
        timer.cancel()
    return received


def _compare(received: list[AnomalyEvent], truth: list[tuple[str, Box]]) -> bool:
    """Print each event beside the fault that it overlaps most; was all found, and no more?"""
    print("   The subscriber received:")
    found: set[str] = set()
    strays = 0
    for event in received:
        data = event.data
        box = Box(data.start_s, data.end_s, data.low_hz, data.high_hz)
        overlap, kind, true = max((box.overlap(true), kind, true) for kind, true in truth)
        print(f"   {describe(event)}")
        if overlap > 0:
            found.add(kind)
            print(
                f"      truth: {kind} {true.start_s:.1f}-{true.end_s:.1f} s, "
                f"{true.low_hz / 1000:.1f}-{true.high_hz / 1000:.1f} kHz (overlap {overlap:.2f})"
            )
        else:
            strays += 1
            print("      truth: nothing there")
    missed = [kind for kind, _ in truth if kind not in found]
    print(f"\n   {len(found)} of {len(truth)} faults found, {strays} events without a fault")
    if missed:
        print(f"   missed: {', '.join(missed)}")
    return not missed and not strays
