"""The whole node over a real broker: what `score` finds is what a subscriber gets."""

import contextlib
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from edge.bundle import open_bundle
from edge.delivery.messages import AnomalyEvent, CloudEvent
from edge.delivery.outbox import FILE_NAME, Outbox
from edge.errors import DeliveryError, EarpatchError, RecordingError
from edge.events import Event
from edge.node import run_node
from edge.scoring import score_recording
from edge.settings import load_settings
from tests.conftest import Broker, Site, free_port, run_mosquitto
from tests.edge.contract import check
from tests.edge.delivery.test_listen import DEADLINE_S, Subscriber, retained, wait_until

TOPIC, AVAILABILITY = "site/area/pump-3/event", "site/area/pump-3/availability"
COMMAND = [sys.executable, "-m", "convert.main", "run", "--config"]
FILE = 'kind = "file"\npath = "{day}"\nrealtime = {realtime}'
STDIN = 'kind = "stdin"\nrate_hz = {rate_hz}'
DAMAGED_AT_S = 19.0  # after both events have closed
SCORED_S = 1.5  # ample for what is left of the day once its last event has closed


def configuration(
    folder: Path, site: Site, port: int, source: str, *, drain_s: float = DEADLINE_S
) -> Path:
    path = folder / "node.toml"
    path.write_text(
        f'[node]\nid = "pump-3"\nstate_dir = "state"\n'
        f'[bundle]\npath = "{site.bundle_path}"\n'
        f"[source]\n{source}\n"
        f'[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\ntopic_prefix = "site/area"\n'
        f"drain_s = {drain_s}\n"
    )
    return path


def day_source(site: Site, *, realtime: bool = False) -> str:
    return FILE.format(day=site.day, realtime=str(realtime).lower())


def scored(site: Site) -> list[Event]:
    return score_recording(open_bundle(site.bundle_path), site.day).verdict.events


def by_time(events: list[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event.start_s, event.low_hz))


def messages(heard: Subscriber) -> list[CloudEvent]:
    for raw in heard.payloads(TOPIC):
        check(TOPIC, raw)
    return [msgspec.json.decode(raw, type=CloudEvent) for raw in heard.payloads(TOPIC)]


def anomalies(heard: Subscriber) -> list[AnomalyEvent]:
    return [message for message in messages(heard) if isinstance(message, AnomalyEvent)]


def boxes(received: list[AnomalyEvent]) -> list[Event]:
    fields = Event.__struct_fields__
    return by_time([Event(**{name: getattr(m.data, name) for name in fields}) for m in received])


@contextmanager
def started(config: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The command as its own process; ended by its id if a test leaves it running."""
    pipe = subprocess.PIPE
    child = subprocess.Popen([*COMMAND, config], stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


def ended(child: "subprocess.Popen[bytes]", sound: bytes | None = None) -> tuple[int, str]:
    _, errors = child.communicate(sound, timeout=2 * DEADLINE_S)
    return child.returncode, errors.decode()


def test_a_subscriber_gets_the_events_that_score_finds(
    tmp_path: Path, site: Site, broker: Broker
) -> None:
    settings = load_settings(configuration(tmp_path, site, broker.port, day_source(site)))
    expected = scored(site)
    assert len(expected) >= 2, "the site's day holds two faults"
    with Subscriber(broker.port) as heard:
        assert run_node(settings) == len(expected)
        wait_until(lambda: len(anomalies(heard)) >= len(expected))
        received, numbers = anomalies(heard), [m.data.sequence for m in messages(heard)]
    assert boxes(received) == by_time(expected)
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    for message, box in zip(sorted(received, key=lambda m: m.data.start_s), expected, strict=True):
        data = message.data
        assert data.sounds_like == box.sounds_like
        assert (data.node, data.input, data.source) == ("pump-3", "main", str(site.day))
        assert message.source == "/site/area/pump-3/main"
        assert (data.bundle, data.data_gap) == (site.open().manifest.bundle_id, False)
        assert (data.start_utc, data.input_state) == (None, data.input_state)


def test_a_delivered_event_leaves_nothing_behind_and_its_number_is_not_used_again(
    tmp_path: Path, site: Site, broker: Broker
) -> None:
    settings = load_settings(configuration(tmp_path, site, broker.port, day_source(site)))
    with Subscriber(broker.port) as heard:
        first = run_node(settings)
        outbox = Outbox(tmp_path / "state")
        assert len(outbox) == 0
        outbox.close()
        second = run_node(settings)
        wait_until(lambda: len(anomalies(heard)) >= first + second)
        numbers = sorted(message.data.sequence for message in messages(heard))
    assert numbers == list(range(1, len(numbers) + 1))


def test_raw_pcm_on_standard_input_gives_the_same_events(
    tmp_path: Path, site: Site, broker: Broker
) -> None:
    rate_hz = soundfile.info(site.day).samplerate
    config = configuration(tmp_path, site, broker.port, STDIN.format(rate_hz=rate_hz))
    pcm = np.rint(site.sound * 32_768).astype("<i2").tobytes()
    expected = by_time(scored(site))
    with Subscriber(broker.port) as heard, started(config) as child:
        code, errors = ended(child, pcm)
        assert (code, "Traceback" in errors) == (0, False), errors
        wait_until(lambda: len(anomalies(heard)) >= len(expected))
        assert boxes(anomalies(heard)) == expected


def test_a_standard_input_without_sound_ends_cleanly(
    tmp_path: Path, site: Site, broker: Broker
) -> None:
    config = configuration(tmp_path, site, broker.port, STDIN.format(rate_hz=48_000))
    with started(config) as child:
        code, errors = ended(child, b"")
    assert (code, "Traceback" in errors) == (0, False), errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_realtime_run_with_code_0_and_a_retained_offline(
    tmp_path: Path, site: Site, broker: Broker, number: signal.Signals
) -> None:
    """F27."""
    config = configuration(tmp_path, site, broker.port, day_source(site, realtime=True))
    with Subscriber(broker.port) as heard, started(config) as child:
        wait_until(lambda: heard.payloads(AVAILABILITY) == [b"online"])
        child.send_signal(number)
        code, errors = ended(child)
        assert (code, "Traceback" in errors) == (0, False), errors
        assert retained(broker.port, AVAILABILITY) == b"offline"


def kept_payloads(state: Path) -> list[bytes]:
    """What waits in a running node's outbox, which is locked for everybody else."""
    if not (state / FILE_NAME).is_file():
        return []
    with contextlib.closing(sqlite3.connect(state / FILE_NAME, timeout=DEADLINE_S)) as database:
        try:
            return [
                row[0] for row in database.execute("SELECT payload FROM events ORDER BY sequence")
            ]
        except sqlite3.OperationalError:  # no table yet
            return []


def test_two_nodes_can_t_share_a_state_folder(tmp_path: Path) -> None:
    with (
        contextlib.closing(Outbox(tmp_path)),
        pytest.raises(EarpatchError, match="another node is using it"),
    ):
        Outbox(tmp_path)


def test_events_of_a_killed_node_are_delivered_by_the_next(tmp_path: Path, site: Site) -> None:
    """F04, F16: no broker, then kill -9, then a broker."""
    port = free_port()
    rate_hz = soundfile.info(site.day).samplerate
    config = configuration(tmp_path, site, port, STDIN.format(rate_hz=rate_hz))
    pcm = np.rint(site.sound * 32_768).astype("<i2").tobytes()
    with started(config) as child:
        assert child.stdin is not None
        child.stdin.write(pcm)
        child.stdin.flush()
        wait_until(lambda: bool(kept_payloads(tmp_path / "state")))
        child.kill()
        child.wait(DEADLINE_S)
    kept = kept_payloads(tmp_path / "state")
    with run_mosquitto(tmp_path, port), Subscriber(port) as heard, started(config) as child:
        assert ended(child, b"")[0] == 0
        wait_until(lambda: len(heard.payloads(TOPIC)) >= len(kept))
        assert set(kept) <= set(heard.payloads(TOPIC))


def test_a_broker_that_is_down_ends_with_code_3_and_the_next_run_delivers(
    tmp_path: Path, site: Site
) -> None:
    """F03, F04, F06."""
    port = free_port()
    config = configuration(tmp_path, site, port, day_source(site), drain_s=0.5)
    expected = scored(site)
    with started(config) as child:
        code, errors = ended(child)
    ours = [line for line in errors.splitlines() if line.startswith("earpatch: ")]
    assert (code, len(ours), "Traceback" in errors) == (3, 1, False), errors
    waiting = re.search(r"outbox.sqlite for the next run: (\d+);", ours[0])
    assert waiting is not None
    assert int(waiting[1]) >= len(expected)
    assert "connection refused" in ours[0]
    empty = configuration(tmp_path, site, port, STDIN.format(rate_hz=48_000))
    with run_mosquitto(tmp_path, port), Subscriber(port) as heard, started(empty) as child:
        assert ended(child, b"")[0] == 0
        wait_until(lambda: len(anomalies(heard)) >= len(expected))
        assert boxes(anomalies(heard)) == by_time(expected)


def test_a_signal_ends_the_wait_for_a_broker_too(tmp_path: Path, site: Site) -> None:
    """E12: the sound is over, the broker is down, and drain_s is an hour."""
    config = configuration(tmp_path, site, free_port(), day_source(site), drain_s=3600)
    expected = len(scored(site))
    with started(config) as child:
        wait_until(lambda: len(kept_payloads(tmp_path / "state")) >= expected)
        time.sleep(SCORED_S)
        child.send_signal(signal.SIGTERM)
        code, errors = ended(child)
    assert (code, "Traceback" in errors) == (3, False), errors


def test_a_stop_from_outside_ends_a_run_in_another_thread(
    tmp_path: Path, site: Site, broker: Broker
) -> None:
    source = day_source(site, realtime=True)
    settings = load_settings(configuration(tmp_path, site, broker.port, source))
    stop, results = threading.Event(), list[int]()
    running = threading.Thread(target=lambda: results.append(run_node(settings, stop=stop)))
    with Subscriber(broker.port) as heard:
        running.start()
        wait_until(lambda: heard.payloads(AVAILABILITY) == [b"online"])
        stop.set()
        running.join(DEADLINE_S)
        assert not running.is_alive()
        wait_until(lambda: heard.payloads(AVAILABILITY) == [b"online", b"offline"])
    assert len(results) == 1


def test_what_was_found_before_a_recording_s_damage_is_kept(
    tmp_path: Path, site: Site, broker: Broker
) -> None:
    rate_hz = soundfile.info(site.day).samplerate
    samples = np.concatenate([site.sound, site.sound[: 4 * rate_hz]])
    samples[round(DAMAGED_AT_S * rate_hz)] = np.nan
    soundfile.write(tmp_path / "damaged.wav", samples, rate_hz, subtype="FLOAT")
    source = FILE.format(day=tmp_path / "damaged.wav", realtime="false")
    settings = load_settings(configuration(tmp_path, site, broker.port, source))
    with Subscriber(broker.port) as heard:
        with pytest.raises(RecordingError, match="not numbers"):
            run_node(settings)
        kept = Outbox(tmp_path / "state")
        wait_until(lambda: len(kept) + len(heard.payloads(TOPIC)) >= len(scored(site)))
        kept.close()


def test_a_run_in_process_tells_how_many_events_wait(tmp_path: Path, site: Site) -> None:
    config = configuration(tmp_path, site, free_port(), day_source(site), drain_s=0)
    alarm = 1  # the first event raises it
    with pytest.raises(DeliveryError, match=f"next run: {len(scored(site)) + alarm}; "):
        run_node(load_settings(config))
