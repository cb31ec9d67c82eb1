"""The outbox: messages on disk, in order, numbered for ever, until they are deleted."""

import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge.delivery.outbox import FILE_NAME, TELL_LOSS_S, Outbox
from edge.delivery.records import Loss, OutboxLimits, Outgoing, Waiting, Wanted
from edge.delivery.ulid import UlidSource
from edge.errors import EarpatchError

CHILD_S = 30.0
MAX_ROWS, MAX_BYTES = 8, 150
new_id = UlidSource()


def message(payload: bytes = b"event", **changes: bool | str) -> Outgoing:
    return Outgoing(id=new_id(), payload=payload, **changes)  # type: ignore[arg-type]


class OutboxIsANumberedQueue(RuleBasedStateMachine):
    """Whatever is put, deleted, quarantined and reopened: a dict that never reuses a number.

    F12, F13: where too many wait the oldest closed ones go, then the oldest; never the one just
    put. What is lost is told, and how many wait is known.
    """

    base = Path()

    @initialize()
    def start(self) -> None:
        """An empty outbox in a new folder."""
        self.folder = Path(tempfile.mkdtemp(dir=self.base))
        self.limits = OutboxLimits(max_rows=MAX_ROWS, max_bytes=MAX_BYTES)
        self.now_s = 0.0
        self.outbox = Outbox(self.folder, self.limits, lambda: self.now_s)
        self.held: dict[int, tuple[bytes, bool, int]] = {}  # payload, active, attempts
        self.lost: list[int] = []
        self.last = 0

    @rule(payload=st.binary(max_size=60), active=st.booleans())
    def put(self, payload: bytes, active: bool) -> None:
        """The next number is told before and after."""
        assert self.outbox.next_sequence() == self.last + 1
        self.last = self.outbox.put(message(payload, active=active))
        self.held[self.last] = (payload, active, 0)
        others = sorted(set(self.held) - {self.last}, key=lambda s: (self.held[s][1], s))
        while len(self.held) > MAX_ROWS or self.size() > MAX_BYTES:
            if not others:
                break
            self.lost.append(others.pop(0))
            del self.held[self.lost[-1]]

    def size(self) -> int:
        """Bytes of payload."""
        return sum(len(payload) for payload, _, _ in self.held.values())

    @rule(sequences=st.lists(st.integers(0, 20), max_size=4))
    def delete(self, sequences: list[int]) -> None:
        """What isn't there may be deleted again."""
        self.outbox.delete(*sequences)
        for sequence in sequences:
            self.held.pop(sequence, None)

    @rule(sequence=st.integers(0, 20))
    def quarantine(self, sequence: int) -> None:
        """It is out of the way, and can be looked at."""
        self.outbox.quarantine(sequence, "too large")
        if self.held.pop(sequence, None) is not None:
            assert self.outbox.quarantined(100)[0].reason == "too large"

    @rule(sequence=st.integers(0, 20))
    def attempted(self, sequence: int) -> None:
        """Attempts are counted, over restarts too."""
        self.outbox.attempted(sequence)
        if sequence in self.held:
            payload, active, attempts = self.held[sequence]
            self.held[sequence] = (payload, active, attempts + 1)

    @rule(sequence=st.integers(0, 20), payload=st.binary(max_size=5))
    def replace(self, sequence: int, payload: bytes) -> None:
        """A payload can be corrected while it waits."""
        self.outbox.replace(sequence, payload)
        if sequence in self.held:
            self.held[sequence] = (payload, *self.held[sequence][1:])

    @rule()
    def reopen(self) -> None:
        """As a restart does."""
        self.outbox.close()
        self.outbox = Outbox(self.folder, self.limits, lambda: self.now_s)

    @rule(sequence=st.integers(0, 20), limit=st.integers(0, 5), active=st.booleans())
    def after(self, sequence: int, limit: int, active: bool) -> None:
        """Oldest first."""
        found = self.outbox.after(sequence, limit, Wanted(only_active=active))
        expected = [
            (number, *values)
            for number, values in sorted(self.held.items())
            if number > sequence and (values[1] or not active)
        ]
        assert [(w.sequence, w.payload, w.active, w.attempts) for w in found] == expected[:limit]

    @rule()
    def take_loss(self) -> None:
        """Told once, and not more often than every ten minutes."""
        self.now_s += TELL_LOSS_S
        loss = self.outbox.take_loss()
        lost, self.lost = self.lost, []
        assert loss == (Loss(len(lost), min(lost), max(lost)) if lost else None)

    @invariant()
    def counts_agree(self) -> None:
        """After every step, without counting rows."""
        assert len(self.outbox) == self.outbox.waiting == len(self.held)
        assert self.outbox.waiting_bytes == self.size()
        assert self.outbox.next_sequence() == self.last + 1
        assert self.outbox.durable

    def teardown(self) -> None:
        """Let go of the file."""
        if hasattr(self, "outbox"):
            self.outbox.close()


@pytest.fixture(autouse=True, scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> None:
    OutboxIsANumberedQueue.base = tmp_path_factory.mktemp("outboxes")


TestOutboxIsANumberedQueue = OutboxIsANumberedQueue.TestCase
TestOutboxIsANumberedQueue.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None
)


def payloads(folder: Path) -> list[bytes]:
    outbox = Outbox(folder)
    try:
        return [waiting.payload for waiting in outbox.after(0, 1_000)]
    finally:
        outbox.close()


def test_messages_survive_reopening_as_they_were(tmp_path: Path) -> None:
    """I22."""
    first = Outbox(tmp_path / "state")
    sent = [message(b"%d" % n, active=n % 2 == 0, leaf="alarm") for n in range(30)]
    assert [first.put(one) for one in sent] == list(range(1, 31))
    boot = first.after(0, 1)[0].boot_id
    first.close()
    second = Outbox(tmp_path / "state")
    assert second.after(0, 100) == [
        Waiting(number, one.id, boot, "alarm", one.active, 0, one.payload)
        for number, one in enumerate(sent, 1)
    ]
    second.close()


def test_those_of_one_run_of_the_computer_can_be_looked_at_in_pages(tmp_path: Path) -> None:
    """I04: clock times of unsent events are corrected once the clock is right."""
    outbox = Outbox(tmp_path)
    for _ in range(5):
        outbox.put(message())
    boot = outbox.after(0, 1)[0].boot_id
    assert [w.sequence for w in outbox.of_boot(boot, 2, 2)] == [3, 4]
    assert outbox.of_boot("another", 0, 10) == []
    outbox.close()


def test_a_number_is_not_used_again_after_everything_was_deleted_and_a_restart(
    tmp_path: Path,
) -> None:
    first = Outbox(tmp_path)
    for _ in range(3):
        first.delete(first.put(message()))
    first.close()
    second = Outbox(tmp_path)
    assert len(second) == 0
    assert second.next_sequence() == 4
    assert second.put(message()) == 4
    second.close()


PUT_UNTIL_KILLED = """
import sys
from pathlib import Path
from edge.delivery.outbox import Outbox
from edge.delivery.records import Outgoing
outbox = Outbox(Path(sys.argv[1]))
while True:
    payload = b"%d" % outbox.next_sequence()
    print(outbox.put(Outgoing(id="", payload=payload)), outbox.durable, flush=True)
"""


@pytest.mark.parametrize("kill_after", [1, 7, 40])
def test_an_event_that_put_returned_for_survives_kill_9(tmp_path: Path, kill_after: int) -> None:
    """F16, I10."""
    command = [sys.executable, "-c", PUT_UNTIL_KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(kill_after):
            assert child.stdout.readline().endswith(" True\n")
        child.kill()
        rest = child.stdout.read().splitlines()
        assert child.wait(CHILD_S) == -signal.SIGKILL
    promised = kill_after + len([line for line in rest if line])
    kept = payloads(tmp_path)
    assert len(kept) in {promised, promised + 1}  # the last one may not have been told
    assert kept == [b"%d" % number for number in range(1, len(kept) + 1)]


def test_an_event_is_synced_to_disk_before_put_returns(tmp_path: Path) -> None:
    """I12: a power cut can't be had here, but the setting that survives one can be asked for."""
    outbox = Outbox(tmp_path)
    outbox.delete(outbox.put(message()))  # deleting isn't synced, and must leave it as it was
    assert outbox._disk.store is not None
    database = outbox._disk.store._database
    (synchronous,) = database.execute("PRAGMA synchronous").fetchone()
    (journal,) = database.execute("PRAGMA journal_mode").fetchone()
    assert (synchronous, journal) == (2, "wal")
    outbox.close()


def test_the_log_beside_the_file_stays_small(tmp_path: Path) -> None:
    """I06, I17."""
    outbox = Outbox(tmp_path)
    for _ in range(2_000):
        outbox.delete(outbox.put(message(bytes(1_000))))
    assert (tmp_path / f"{FILE_NAME}-wal").stat().st_size < 2_000_000
    outbox.close()


def test_an_outbox_of_the_first_layout_is_taken_over(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / FILE_NAME)
    database.execute(
        "CREATE TABLE events (sequence INTEGER PRIMARY KEY AUTOINCREMENT, payload BLOB NOT NULL)"
    )
    for payload in (b"one", b"two"):
        database.execute("INSERT INTO events (payload) VALUES (?)", (payload,))
    database.execute("DELETE FROM events WHERE sequence = 1")
    database.commit()
    database.close()
    outbox = Outbox(tmp_path)
    assert [(w.sequence, w.leaf, w.payload) for w in outbox.after(0, 9)] == [(2, "event", b"two")]
    assert (outbox.waiting, outbox.waiting_bytes, outbox.recovered_from) == (1, 3, None)
    assert outbox.put(message(b"three")) == 3
    outbox.close()
    assert payloads(tmp_path) == [b"two", b"three"]


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(EarpatchError) as raised:
        call()
    assert len(str(raised.value).splitlines()) == 1
    return str(raised.value)


def occupied_by_a_file(folder: Path) -> Path:
    (folder / "state").write_text("a file")
    return folder / "state"


def below_a_file(folder: Path) -> Path:
    return occupied_by_a_file(folder) / "deeper"


def with_a_nul_in_its_name(folder: Path) -> Path:
    return folder / "a\0b"


@pytest.mark.parametrize("spoil", [occupied_by_a_file, below_a_file, with_a_nul_in_its_name])
def test_a_folder_that_can_t_be_one_is_one_clear_error(
    tmp_path: Path, spoil: Callable[[Path], Path]
) -> None:
    folder = spoil(tmp_path)
    text = refusal(lambda: Outbox(folder))
    assert "events can't be kept there" in text
    assert "[node] state_dir" in text


def test_telling_of_a_loss_does_not_cause_the_next_one_at_once(tmp_path: Path) -> None:
    """F12: a full outbox must not fill up with what is said about it."""
    now_s = 0.0
    outbox = Outbox(tmp_path, OutboxLimits(max_rows=10), lambda: now_s)
    for _ in range(12):
        outbox.put(message())
    told = 0
    for _ in range(1_000):
        now_s += 1.0
        if outbox.take_loss() is not None:
            told += 1
            outbox.put(message(b"loss"))
    assert told == 2
    assert len([w for w in outbox.after(0, 10) if w.payload == b"loss"]) == 2
    outbox.close()


def test_the_bytes_written_today_are_told(tmp_path: Path) -> None:
    """I17."""
    outbox = Outbox(tmp_path)
    before = outbox.bytes_written_today
    if before is None:
        pytest.skip("this kernel has no /proc/self/io")
    for _ in range(20):
        outbox.put(message(bytes(2_000)))
    after = outbox.bytes_written_today
    outbox.close()
    assert after is not None
    if after == before:
        pytest.skip("the temporary folder is no disk")
    assert after - before >= 20 * 2_000
