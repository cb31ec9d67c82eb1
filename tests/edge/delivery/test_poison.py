"""What a broker can't or won't take: quarantined after three attempts, and nothing else suffers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery import flights as flights_module
from edge.delivery import refusals as refusals_module
from edge.delivery import suspicion
from edge.delivery.refusals import LAST_PAUSE_S, QUOTA_EXCEEDED, Refusals
from tests.conftest import free_port, run_mosquitto
from tests.edge.delivery.faults import Proxy
from tests.edge.delivery.test_listen import DEADLINE_S, Subscriber, wait_until
from tests.edge.delivery.test_publisher import EVENTS, connected, numbers, publishing, put

if TYPE_CHECKING:
    from pathlib import Path

LARGE = bytes(5_000)
NOT_AUTHORISED = 0x87


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspicion, "QUIET_S", 0.3)
    monkeypatch.setattr(refusals_module, "FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr(refusals_module, "GROWTH", 1.0)


def test_too_large_for_an_mqtt_5_broker_is_quarantined_without_being_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """F22, F24, F38: CONNACK says what the broker takes."""
    port = free_port()
    with run_mosquitto(tmp_path, port, "max_packet_size 2048"):
        hop = Proxy(port)
        with Subscriber(port) as heard, publishing(tmp_path, hop.port, 3) as (node, outbox):
            connected(node)
            large = put(outbox, LARGE)
            put(outbox, b"3")
            assert node.drain(DEADLINE_S) == 0
            (kept,) = outbox.quarantined()
            assert (kept.sequence, kept.bytes) == (large, len(LARGE))
            assert kept.reason.startswith("too large: ")
            assert "the broker takes 2048" in caplog.text
            wait_until(lambda: len(heard.payloads(EVENTS)) >= 4)
            assert set(heard.payloads(EVENTS)) == set(numbers(4))
            assert hop.connections == 1
            assert hop.sent_bytes < len(LARGE)
        hop.close()


def test_too_large_for_mqtt_is_quarantined_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F22: the protocol's own bound of 256 MiB, here a smaller one."""
    monkeypatch.setattr(flights_module, "MAX_PACKET_BYTES", 1_000)
    with run_mosquitto(tmp_path, port := free_port()), publishing(tmp_path, port) as (node, outbox):
        connected(node)
        put(outbox, LARGE)
        assert node.drain(DEADLINE_S) == 0
        assert "too large" in outbox.quarantined()[0].reason


@pytest.mark.parametrize("place", ["first", "in the middle", "last"])
def test_an_mqtt_3_broker_that_hangs_up_on_a_message_gets_it_three_times(
    tmp_path: Path, place: str
) -> None:
    """F22, F24, F38: "many GBs of upload a day" by one message that is sent for ever."""
    port = free_port()
    with run_mosquitto(tmp_path, port, "max_packet_size 2048"):
        hop = Proxy(port)
        with (
            Subscriber(port) as heard,
            publishing(tmp_path, hop.port, protocol="3.1.1") as (node, outbox),
        ):
            connected(node)
            before = {"first": 0, "in the middle": 5, "last": 10}[place]
            for payload in numbers(before):
                put(outbox, payload)
            large = put(outbox, LARGE)
            for payload in numbers(10)[before:]:
                put(outbox, payload)
            assert node.drain(DEADLINE_S) == 0
            assert [q.sequence for q in outbox.quarantined()] == [large]
            assert "ended the connection after it, 3 times" in outbox.quarantined()[0].reason
            wait_until(lambda: set(heard.payloads(EVENTS)) == set(numbers(10)))
            assert hop.sent_bytes < 4 * len(LARGE)
            hop_bytes = hop.sent_bytes
            node.drain(0.5)
            assert hop.sent_bytes - hop_bytes < len(LARGE), "it is left alone from now on"
        hop.close()


def test_events_pass_by_while_a_suspect_waits_for_its_last_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F22: a live event does not wait for it."""
    monkeypatch.setattr(suspicion, "QUIET_S", DEADLINE_S)
    port = free_port()
    with (
        run_mosquitto(tmp_path, port, "max_packet_size 2048"),
        Subscriber(port) as heard,
        publishing(tmp_path, port, protocol="3.1.1") as (node, outbox),
    ):
        connected(node)
        put(outbox, LARGE)
        wait_until(lambda: outbox.after(0, 1)[0].attempts == 2, node.pump)
        put(outbox, b"live")
        wait_until(lambda: heard.payloads(EVENTS) == [b"live"], node.pump)
        wait_until(lambda: len(outbox) == 1, node.pump)


def test_a_link_that_breaks_again_and_again_does_not_quarantine_good_events(
    tmp_path: Path,
) -> None:
    """F22, F17: not every connection that ends after a message ended because of it."""
    port = free_port()
    with run_mosquitto(tmp_path, port):
        hop = Proxy(port)
        with Subscriber(port) as heard, publishing(tmp_path, hop.port) as (node, outbox):
            connected(node)
            for number in range(20):
                put(outbox, b"%d" % number)
                node.pump()
                hop.cut()
                node.drain(0.1)
            assert node.drain(DEADLINE_S) == 0
            assert outbox.quarantined() == []
            wait_until(lambda: set(heard.payloads(EVENTS)) == set(numbers(20)))
        hop.close()


ACL = """\
topic readwrite #
topic deny site/pump-3/event
"""


def test_what_an_mqtt_5_broker_forbids_is_quarantined_one_by_one_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """F29, F30: not authorised is told apart; other topics of the node go on."""
    port = free_port()
    rules = tmp_path / "acl"
    rules.write_text(ACL)
    with (
        run_mosquitto(tmp_path, port, f"acl_file {rules}"),
        Subscriber(port) as heard,
        publishing(tmp_path, port) as (node, outbox),
    ):
        connected(node)
        forbidden = put(outbox, b"forbidden")
        put(outbox, b"allowed", leaf="alarm")
        wait_until(outbox.quarantined, node.pump)
        assert [q.sequence for q in outbox.quarantined()] == [forbidden]
        assert "Not authorized, 3 times" in outbox.quarantined()[0].reason
        assert "refuses site/pump-3/event: Not authorized" in str(node.trouble)
        assert caplog.text.count("refuses site/pump-3/event") == 1
        assert heard.payloads("site/pump-3/alarm") == [b"allowed"]


def test_a_rule_of_the_broker_does_not_empty_the_backlog_into_the_quarantine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F30: until a person has mended the rule, events wait; they are not used up."""
    monkeypatch.setattr(refusals_module, "GROWTH", 4.0)
    port = free_port()
    rules = tmp_path / "acl"
    rules.write_text(ACL)
    with publishing(tmp_path, port, 200) as (node, outbox):
        with run_mosquitto(tmp_path, port, f"acl_file {rules}"):
            deadline_s = time.monotonic() + 4
            while time.monotonic() < deadline_s:
                node.pump()
                time.sleep(0.01)
        assert len(outbox.quarantined()) <= 2
        with run_mosquitto(tmp_path, port), Subscriber(port) as heard:
            assert node.drain(DEADLINE_S) == 0
            wait_until(lambda: len(set(heard.payloads(EVENTS))) >= 198)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 400), st.booleans()), max_size=60))
def test_pauses_grow_to_five_minutes_and_end_when_something_is_taken(
    answers: list[tuple[float, bool]],
) -> None:
    now_s = 0.0
    refusals = Refusals(lambda: now_s)
    for later_s, taken in answers:
        now_s += later_s
        if taken:
            refusals.accepted("event")
            assert refusals.paused() == ()
            assert refusals.text is None
        else:
            assert refusals.refused("event", NOT_AUTHORISED, "forbidden")
            assert refusals.text == "forbidden"
            assert refusals.paused() in {("event",), ()}
    now_s += LAST_PAUSE_S
    assert refusals.paused() == ()


def test_a_quota_is_no_message_s_fault() -> None:
    refusals = Refusals(lambda: 0.0)
    assert not refusals.refused("event", QUOTA_EXCEEDED, "quota exceeded")
    assert refusals.paused() == ("event",)


def test_twenty_refusals_of_one_moment_make_one_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals_module, "GROWTH", 4.0)
    now_s = 0.0
    refusals = Refusals(lambda: now_s)
    for _ in range(20):
        refusals.refused("event", NOT_AUTHORISED, "forbidden")
    now_s = refusals_module.FIRST_PAUSE_S
    assert refusals.paused() == ()
