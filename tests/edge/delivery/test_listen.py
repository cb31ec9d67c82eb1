"""`listen`: events printed as a person reads them, whatever else comes over the topic."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

import msgspec
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.delivery import examples
from edge.delivery.listen import EventSubscriber, print_events
from edge.delivery.messages import AnomalyEvent
from edge.delivery.settings import BrokerSettings
from edge.errors import DeliveryError, EarpatchError
from tests.conftest import Broker, free_port

DEADLINE_S = 30.0
TOPIC = "site/pump-3/event"


def wait_until(condition: Callable[[], object], doing: Callable[[], object] | None = None) -> None:
    """Wait for a condition, and fail when it doesn't come."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        if doing:
            doing()
        time.sleep(0.01)


class Subscriber:
    """Everything that a broker hands out, as it comes."""

    def __init__(self, port: int, topic: str = "#") -> None:
        self.messages: list[paho.MQTTMessage] = []
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _c, _d, message: self.messages.append(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(DEADLINE_S)

    def __enter__(self) -> "Subscriber":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def payloads(self, topic: str) -> list[bytes]:
        """What came on one topic so far."""
        return [bytes(message.payload) for message in self.messages if message.topic == topic]


def retained(port: int, topic: str) -> bytes | None:
    """What a new subscriber is told at once."""
    with Subscriber(port, topic) as late:
        wait_until(lambda: late.messages)
        return bytes(late.messages[0].payload) if late.messages[0].retain else None


def event(sequence: int = 1, time: object = None, **changes: object) -> bytes:
    """An anomaly as a node publishes it, with changes to its data."""
    example = examples.events()[0]
    assert isinstance(example, AnomalyEvent)
    moment = datetime(2026, 11, 25, 14, 3, 22, tzinfo=timezone.utc)
    data = msgspec.structs.replace(
        example.data, sequence=sequence, start_s=2.08, end_s=2.4, low_hz=3_100.0, high_hz=9_800.0
    )
    message = msgspec.to_builtins(msgspec.structs.replace(example, time=moment, data=data))
    message["data"] |= changes
    return msgspec.json.encode(message | ({} if time is None else {"time": time}))


def address(port: int) -> BrokerSettings:
    return BrokerSettings(url=f"mqtt://127.0.0.1:{port}")


@contextmanager
def repeating(port: int, *messages: tuple[str, bytes]) -> Iterator[None]:
    """Publish the same messages again and again, so that it doesn't matter who starts first."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    stop = threading.Event()

    def publish() -> None:
        while not stop.wait(0.05):
            for topic, payload in messages:
                client.publish(topic, payload, qos=1)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        client.disconnect()
        client.loop_stop()


def heard(broker: Broker, *payloads: bytes, count: int = 1) -> int:
    """Listen until as many events came, while the payloads are published over and over."""
    with repeating(broker.port, *((TOPIC, payload) for payload in payloads)):
        return print_events(address(broker.port), TOPIC, count=count, seconds=DEADLINE_S)


def set_timezone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("TZ", name)
    time.tzset()


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    set_timezone(monkeypatch, "UTC0")
    yield
    monkeypatch.undo()
    time.tzset()


def test_an_event_is_printed_as_the_readme_shows_it(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert heard(broker, event()) == 1
    assert capsys.readouterr().out == (
        "14:03:22 pump-3/gearbox  2.1-2.4 s, score 3.42, hiss, 2.0 s, 5.4-13.4 kHz, 18 dB above "
        "normal; nothing like it in 42 minutes of calibration\n"
    )


def test_the_clock_is_the_listener_s_own(
    broker: Broker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_timezone(monkeypatch, "CET-1")
    heard(broker, event())
    assert capsys.readouterr().out.startswith("15:03:22 ")


def test_count_ends_it_after_so_many_events(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert heard(broker, event(), count=3) == 3
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_seconds_end_it_without_an_event(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_events(address(broker.port), TOPIC, count=None, seconds=0.1) == 0
    assert capsys.readouterr().out == ""


GARBAGE = {
    "empty": b"",
    "text": b"hello",
    "cut in the middle": event()[:70],
    "another object": b'{"schema": "earpatch.event/1"}',
    "a number": b"42",
    "a wrong type": event(score="loud"),
    "no UTF-8": b"\xff\xfe\x00garbage",
    "no UTF-8 within a string": event().replace(b"pump-3", b"pump\xff3"),
    "deeply nested": b'{"x":' + b"[" * 100_000,
    "no date": event(time="yesterday"),
    "the first day of all": event(time="0001-01-01T00:00:00Z"),
    "the last day of all": event(time="9999-12-31T23:59:59Z"),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_reported_in_one_line_and_does_not_end_it(
    broker: Broker,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    garbage: bytes,
) -> None:
    """F11. The time zone is the one in which the listener's clock leaves the calendar."""
    set_timezone(monkeypatch, "CET-1" if b"9999" in garbage else "EST5")
    assert heard(broker, garbage, event(), event(), count=3) == 3
    lines = capsys.readouterr().out.splitlines()
    known = re.compile(
        r"\d\d:\d\d:\d\d pump-?3?\S*/gearbox  2\.1-2\.4 s|a message that is not an event"
    )
    assert [line for line in lines if not known.match(line)] == []
    assert [line for line in lines if ":03:22 pump-3" not in line], "not reported"


def test_a_node_s_name_can_t_break_the_line(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    heard(broker, event(node="pump\n\x1b[2J3"))
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert "\x1b" not in out


def test_what_a_node_says_beside_events_is_not_reported_as_garbage(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    """The default topic is `#`, and every node keeps a retained `online` below it."""
    availability = ("site/pump-3/availability", b"online")
    with repeating(broker.port, availability, (TOPIC, event())):
        print_events(address(broker.port), "#", count=3, seconds=DEADLINE_S)
    assert "not an event" not in capsys.readouterr().out


def test_a_broker_that_is_down_is_a_delivery_error_with_the_reason() -> None:
    port = free_port()
    with pytest.raises(DeliveryError) as raised:
        print_events(address(port), TOPIC, count=1, seconds=None)
    assert str(raised.value) == (
        f"mqtt://127.0.0.1:{port} can't be reached: "
        "connection refused; is the broker running there?"
    )


def test_a_topic_that_is_no_filter_is_refused(broker: Broker) -> None:
    with (
        pytest.raises(EarpatchError, match="site/#/event"),
        EventSubscriber(address(broker.port), "site/#/event"),
    ):
        pass
