"""Commands over MQTT: each is answered, none is fatal, only what is allowed is done."""

import json
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.alarms.settings import AlarmSettings
from edge.command_queue import BURST, LONGEST, MOST_WAITING, RATE_PER_S
from edge.delivery.session import Received
from edge.desk import AlarmDesk
from edge.remote import Answer, CommandName, CommandSettings, Remote
from tests.edge.contract import check
from tests.edge.test_clock import FakeTime

if TYPE_CHECKING:
    from edge.alarms.states import Notice

EVERYTHING = CommandSettings(
    allow=("acknowledge", "shelve", "unshelve", "reset", "out_of_service", "in_service")
)


class FakePublisher:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.sent: list[Answer] = []

    def subscribe(self, leaf: str, handler: Any) -> None:
        """Messages are handed over by the test itself."""
        assert leaf == "cmd/+"
        self.handler = handler

    def publish(self, leaf: str, payload: bytes) -> bool:
        """Every answer fits the contract."""
        check(f"a/b/{leaf}", payload)
        self.sent.append(msgspec.json.decode(payload, type=Answer))
        return True


class FakeInput:
    """An input that is heard."""

    state = "hearing"

    def __init__(self, name: str) -> None:
        self.name = name


class Bench:
    """Remote control of two alarms, by hand."""

    def __init__(
        self,
        folder: Path,
        names: tuple[str, ...] = ("main",),
        allowed: CommandSettings = EVERYTHING,
    ) -> None:
        self.time, self.publisher = FakeTime(), FakePublisher()
        self.notices: list[tuple[str, Notice]] = []
        inputs: Any = [FakeInput(name) for name in names]
        clock = self.time.clock()
        self.desk = AlarmDesk(
            inputs, AlarmSettings(), folder, clock,
            lambda each, notice: self.notices.append((each.name, notice)),
        )  # fmt: skip
        publisher: Any = self.publisher
        self.remote = Remote("pump-3", allowed, list(names), self.desk, publisher, clock)
        self.desk.tick()

    def send(self, name: str, payload: object) -> Answer:
        """One command, and its answer."""
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.remote.take(Received(f"site/pump-3/cmd/{name}", raw, retained=False))
        self.remote.work()
        return self.publisher.sent[-1]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """With an alarm that nobody has acknowledged."""
    made = Bench(tmp_path)
    made.desk.event("main", "EVENT-1", 0.0, 2.0, 3.0)
    assert made.desk.status("main").name == "active_unacknowledged"
    return made


def test_an_operator_acknowledges_and_is_told(bench: Bench) -> None:
    answer = bench.send("acknowledge", {"id": "a-1", "by": "Keller", "event_id": "EVENT-1"})
    assert (answer.id, answer.command, answer.status) == ("a-1", "acknowledge", "done")
    assert bench.desk.status("main").name == "active_acknowledged"
    assert bench.notices[-1][1].by == "Keller"  # type: ignore[union-attr]


def test_a_command_that_comes_twice_is_answered_twice_and_done_once(bench: Bench) -> None:
    """QoS 1 delivers twice at times."""
    first = bench.send("acknowledge", {"id": "a-1"})
    changes = len(bench.notices)
    again = bench.send("acknowledge", {"id": "a-1"})
    assert (first.status, again.status) == ("done", "done")
    assert len(bench.notices) == changes


def test_an_alarm_is_shelved_for_a_time_and_comes_back(bench: Bench) -> None:
    assert bench.send("shelve", {"id": "1", "for_s": 600}).status == "done"
    assert bench.desk.status("main").name == "shelved"
    bench.time.pass_s(601)
    bench.desk.tick()
    assert bench.desk.status("main").shelving == "Unshelved"


@pytest.mark.parametrize(
    ("name", "payload", "words"),
    [
        ("acknowledge", {"id": "x", "event_id": "other"}, "other does not wait"),
        ("acknowledge", {"id": "x", "evnt_id": "EVENT-1"}, "evnt_id"),
        ("acknowledge", {"id": "x", "input": "motor"}, "no such input; there are main"),
        ("acknowledge", {}, "id"),
        ("acknowledge", b"\xff\xfe", "can't be read"),
        ("acknowledge", b"[" * 3_000, "can't be read"),
        ("acknowledge", b" " * (LONGEST + 1), "at most"),
        ("shelve", {"id": "x", "for_s": -1}, "for_s"),
        ("shelve", {"id": "x", "for_s": 604_800}, "28800"),
        ("dance", {"id": "x"}, "no such command; there are acknowledge, shelve"),
        ("calibrate", {"id": "x"}, "not allowed here"),
    ],
)
def test_what_can_not_be_done_is_answered_with_a_reason(
    bench: Bench, name: str, payload: object, words: str
) -> None:
    """F11: a malformed command is answered, never fatal."""
    before = bench.desk.status("main")
    answer = bench.send(name, payload)
    assert answer.status == "refused"
    assert words in answer.text
    assert bench.desk.status("main") == before


def test_the_id_is_answered_even_if_the_rest_is_wrong(bench: Bench) -> None:
    assert bench.send("shelve", {"id": "x-9", "for_s": "long"}).id == "x-9"


def test_only_acknowledging_and_shelving_are_allowed_unless_said(tmp_path: Path) -> None:
    made = Bench(tmp_path, allowed=CommandSettings())
    for name, status in {
        "acknowledge": "done", "shelve": "done", "unshelve": "done", "reset": "refused",
        "out_of_service": "refused", "rebirth": "refused", "snapshot": "refused",
        "calibrate": "refused",
    }.items():  # fmt: skip
        assert made.send(name, {"id": "1"}).status == status, name


def test_all_commands_can_be_switched_off(tmp_path: Path) -> None:
    made = Bench(tmp_path, allowed=CommandSettings(allow=()))
    for name in get_args(CommandName):
        answer = made.send(name, {"id": "1"})
        assert (answer.status, answer.text) == (
            "refused",
            "not allowed here; [commands] allow = []",
        )


def test_with_several_inputs_one_has_to_be_named(tmp_path: Path) -> None:
    made = Bench(tmp_path, names=("gearbox", "motor"))
    made.desk.event("motor", "EVENT-1", 0.0, 2.0, 3.0)
    assert "which input" in made.send("acknowledge", {"id": "1"}).text
    assert made.send("acknowledge", {"id": "2", "input": "motor"}).status == "done"


def test_a_flood_is_bounded_and_what_fits_is_answered(bench: Bench) -> None:
    for number in range(3 * MOST_WAITING):
        payload = json.dumps({"id": str(number)}).encode()
        bench.remote.take(Received("site/pump-3/cmd/acknowledge", payload, retained=False))
    for _ in range(3 * MOST_WAITING):
        bench.remote.work()
        bench.time.pass_s(1 / RATE_PER_S)
    assert [answer.id for answer in bench.publisher.sent] == [str(n) for n in range(MOST_WAITING)]


def test_a_flood_is_done_no_faster_than_a_person_would_ask(bench: Bench) -> None:
    """Each of these writes to the disk and is told as an event."""
    for second in range(10):
        for name in ["shelve", "unshelve"] * 10:
            bench.remote.take(Received(f"site/pump-3/cmd/{name}", b'{"id": "1"}', retained=False))
        for _ in range(20):
            bench.remote.work()
        assert len(bench.publisher.sent) == BURST + second * RATE_PER_S
        bench.time.pass_s(1.0)


def test_of_what_is_too_long_nothing_is_kept(bench: Bench) -> None:
    huge = b" " * 1_000_000
    tracemalloc.start()
    for _ in range(MOST_WAITING):
        bench.remote.take(Received("site/pump-3/cmd/" + "x" * 60_000, bytes(huge), retained=False))
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept_bytes < 2 * MOST_WAITING * LONGEST
    bench.remote.work()
    assert bench.publisher.sent[0].command == "x" * 64


def test_a_flood_is_one_line_of_the_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(2 * MOST_WAITING):
        topic = f"site/pump-3/cmd/another-{number:b}"
        bench.remote.take(Received(topic, b"{}", retained=False))
    assert caplog.text.count("too many commands") == 1


def test_a_retained_command_is_not_done_again(bench: Bench) -> None:
    """Else it would be done at every start of the node."""
    payload = json.dumps({"id": "1"}).encode()
    bench.remote.take(Received("site/pump-3/cmd/acknowledge", payload, retained=True))
    bench.remote.work()
    assert bench.publisher.sent == []


def test_the_node_does_not_answer_its_own_answers(bench: Bench) -> None:
    bench.remote.take(Received("site/pump-3/cmd/result", b"{}", retained=False))
    bench.remote.work()
    assert bench.publisher.sent == []


NAMES = ["acknowledge", "shelve", "unshelve", "reset", "rebirth", "calibrate", "x", "", "cmd/a"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(["id", "input", "by", "comment", "event_id", "for_s", "once", "seconds"])


@given(
    name=st.sampled_from(NAMES) | st.text(max_size=30),
    payload=st.binary(max_size=300)
    | st.dictionaries(KEYS | st.text(max_size=5), VALUES).map(lambda d: json.dumps(d).encode()),
)
@settings(max_examples=300, deadline=None)
def test_whatever_comes_is_answered_or_ignored(
    tmp_path_factory: pytest.TempPathFactory, name: str, payload: bytes
) -> None:
    """F11."""
    made = Bench(tmp_path_factory.mktemp("state"))
    made.remote.take(Received(f"site/pump-3/cmd/{name}", payload, retained=False))
    made.remote.work()
    assert len(made.publisher.sent) == 1
