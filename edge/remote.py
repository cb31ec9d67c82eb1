"""Commands over MQTT: each is answered, none is fatal, and only what is allowed is done.

A command arrives on `<prefix>/<node>/cmd/<name>`, the answer goes to `<prefix>/<node>/cmd/result`
with the `id` of the command, which its sender chose.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from edge.alarms import commands as alarm_commands
from edge.alarms.commands import MAX_BY_CHARS, MAX_COMMENT_CHARS, Operator
from edge.command_queue import LONGEST, CommandQueue
from edge.delivery import topics
from edge.section import Section
from edge.words import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.alarms.alarm import Alarm
    from edge.alarms.states import Outcome
    from edge.clock import Clock
    from edge.delivery.publisher import Publisher
    from edge.delivery.session import Received
    from edge.desk import AlarmDesk

log = logging.getLogger(__name__)

ANSWER_SCHEMA = "urn:earpatch:schema:answer:1"
AT_ONCE = 10  # commands in one turn of the loop

CommandName = Literal[
    "acknowledge",
    "shelve",
    "unshelve",
    "reset",
    "out_of_service",
    "in_service",
    "rebirth",
    "snapshot",
    "calibrate",
]
AnswerStatus = Literal["done", "refused", "started", "progress", "failed"]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
InputName = Annotated[str, Meta(max_length=64)]


class CommandSettings(Section, frozen=True):
    """[commands]: what may be done from afar."""

    allow: tuple[CommandName, ...] = ("acknowledge", "shelve", "unshelve")


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every command may say."""

    id: Id  # the answer has it too
    input: InputName | None = None  # which; the only one unless said
    by: Annotated[str, Meta(max_length=MAX_BY_CHARS)] = ""
    comment: Annotated[str, Meta(max_length=MAX_COMMENT_CHARS)] = ""


class Acknowledge(Command, frozen=True, kw_only=True):
    """An operator has seen an event, and all before it; all that wait unless one is named."""

    event_id: Annotated[str, Meta(max_length=64)] | None = None


class Shelve(Command, frozen=True, kw_only=True):
    """Put an alarm away for a time, or until its condition returns."""

    for_s: Annotated[float, Meta(gt=0, le=7 * 86_400)] | None = None
    once: bool = False


class Calibrate(Command, frozen=True, kw_only=True):
    """Learn this machine's normal sound from now on."""

    seconds: Annotated[float, Meta(ge=10, le=86_400)] = 600.0
    add: bool = False  # another operating state: what was taught before still holds


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command; a long one is answered several times."""

    schema: str
    node: str
    id: str | None  # None: the command could not be read so far
    command: str
    status: AnswerStatus
    text: str  # one line for a person
    reported_utc: datetime
    progress: float | None = None  # 0 to 1
    data: dict[str, Any] | None = None


FORMS: dict[str, type[Command]] = {
    "acknowledge": Acknowledge,
    "shelve": Shelve,
    "calibrate": Calibrate,
}


class Remote:
    """Takes commands in the network's thread, does them in the loop's.

    Args:
        node: its id.
        settings: what is allowed.
        inputs: their names.
        desk: the alarms.
        publisher: where answers go.
        clock: for the answers.
    """

    def __init__(
        self,
        node: str,
        settings: CommandSettings,
        inputs: list[str],
        desk: AlarmDesk,
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        self._node, self._allowed, self._inputs = node, settings.allow, inputs
        self._desk, self._publisher, self._clock = desk, publisher, clock
        self._queue = CommandQueue(clock.monotonic_s)
        self._others: dict[str, Callable[[Command], Answer]] = {}
        self._hearers: list[Callable[[Answer], None]] = []
        publisher.subscribe(f"{topics.COMMAND}/+", self.take)

    def add(self, name: CommandName, act: Callable[[Command], Answer]) -> None:
        """Another command that is done in the loop's thread."""
        self._others[name] = act

    def listen(self, hear: Callable[[Answer], None]) -> None:
        """Hear every answer, too."""
        self._hearers.append(hear)

    def take(self, message: Received) -> None:
        """A message has come. Called in the network's thread; never raises, never waits."""
        self._queue.put(message)

    def work(self) -> None:
        """Do some of what waits."""
        for _ in range(AT_ONCE):
            if (taken := self._queue.take()) is None:
                return
            self.tell(self._do(*taken))

    def tell(self, answer: Answer) -> bool:
        """Publish an answer; whether it could be."""
        said = self._publisher.publish(topics.RESULT, msgspec.json.encode(answer))
        for hear in self._hearers:
            hear(answer)
        log.info("command %s: %s: %s", printable(answer.command), answer.status, answer.text)
        return said

    def answer(
        self,
        command: Command | None,
        name: str,
        status: AnswerStatus,
        text: str,
        **more: Any,
    ) -> Answer:
        """An answer to a command, or to what can't be read as one."""
        return Answer(
            schema=ANSWER_SCHEMA,
            node=self._node,
            id=None if command is None else command.id,
            command=printable(name),
            status=status,
            text=printable(text[:500]),
            reported_utc=self._clock.utc(),
            **more,
        )

    def _do(self, name: str, payload: bytes) -> Answer:
        if name not in get_args(CommandName):
            known = ", ".join(get_args(CommandName))
            return self.answer(None, name, "refused", f"no such command; there are {known}")
        command = self._read(name, payload)
        if isinstance(command, Answer):
            return command
        if name not in self._allowed:
            text = f"not allowed here; [commands] allow = [{', '.join(self._allowed)}]"
            return self.answer(command, name, "refused", text)
        if name in self._others:
            return self._others[name](command)
        act = _alarm_action(name, command)
        if act is None:
            return self.answer(command, name, "refused", "this node can't do that")
        outcome = self._desk.command(command.input or self._inputs[0], act)
        return self.answer(command, name, "done" if outcome.accepted else "refused", outcome.text)

    def _read(self, name: str, payload: bytes) -> Command | Answer:
        """The command, or why it is none."""
        if len(payload) > LONGEST:
            text = f"a command has at most {LONGEST} bytes; this has more"
            return self.answer(None, name, "refused", text)
        try:
            command: Command = msgspec.json.decode(payload, type=FORMS.get(name, Command))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self.answer(_id_of(payload), name, "refused", f"can't be read: {error}")
        if command.input is None and len(self._inputs) > 1:
            text = f"which input? There are {', '.join(self._inputs)}"
            return self.answer(command, name, "refused", text)
        if command.input is not None and command.input not in self._inputs:
            text = f"no such input; there are {', '.join(self._inputs)}"
            return self.answer(command, name, "refused", text)
        return command


class _IdOnly(msgspec.Struct):
    id: Id


def _id_of(payload: bytes) -> Command | None:
    """The id of a command that can't be read otherwise."""
    try:
        return Command(id=msgspec.json.decode(payload, type=_IdOnly).id)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _alarm_action(name: str, command: Command) -> Callable[[Alarm, float], Outcome] | None:
    """What a command does to an alarm."""
    operator = Operator(command.by, command.comment)
    if isinstance(command, Acknowledge):
        event_id = command.event_id
        return lambda alarm, now: alarm_commands.acknowledge(alarm, event_id, operator, now)
    if isinstance(command, Shelve):
        if command.once:
            return lambda alarm, now: alarm_commands.shelve_once(alarm, operator, now)
        for_s = command.for_s
        return lambda alarm, now: alarm_commands.shelve(
            alarm, alarm.settings.max_shelve_s if for_s is None else for_s, operator, now
        )
    simple = {
        "unshelve": alarm_commands.unshelve,
        "reset": alarm_commands.reset,
        "out_of_service": alarm_commands.remove_from_service,
        "in_service": alarm_commands.place_in_service,
    }.get(name)
    return (lambda alarm, now: simple(alarm, operator, now)) if simple else None
