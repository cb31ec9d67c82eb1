"""The questions of setup, in their order, and what is done with each answer.

It knows neither a terminal nor a network: a `Person` answers and `Surroundings` look, so that every
path through it is tested with scripted ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from calibration.setup.answers import (
    LEAST_CALIBRATION_S,
    MOST_CALIBRATION_S,
    Answers,
    SetupError,
    check,
)
from edge.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibration.setup.partners import Choice, Person, Surroundings

MOST_TRIES = 20  # of one question: a script that answers nonsense must not go on for ever
MINUTE_S = 60.0
OFFERED_MINUTES = 10.0


class Interviewed(NamedTuple):
    """All answers, and a password that was typed: it goes to a file of its own."""

    answers: Answers
    password: str | None


class Interview:
    """Asks one person once.

    Args:
        person: who is asked.
        around: what is looked at.
        before: what is offered; Enter keeps it.
    """

    def __init__(self, person: Person, around: Surroundings, before: Answers) -> None:
        self._person, self._around, self._answers = person, around, before
        self._password: str | None = None

    def run(self) -> Interviewed:
        """Ask everything.

        Raises:
            SetupError: the person has gone, or answers nonsense again and again.
        """
        self._node()
        self._microphone()
        self._place()
        self._broker()
        self._calibration()
        started = self._yes("Start to listen now, and after each boot?", offered=True)
        self._set(start=started)
        return Interviewed(check(self._answers), self._password)

    def _node(self) -> None:
        self._say("\n1. The node. Its name is a part of every message: letters, digits, . _ -")
        self._ask("Name of the node", "node")

    def _microphone(self) -> None:
        self._say("\n2. The microphone.")
        for _ in range(MOST_TRIES):
            device = self._choose(list(self._around.microphones()))
            if device is None:
                continue
            self._set(device=device)
            self._say("Make some noise near it.")
            self._say(f"It was {self._around.listen(device)}.")
            if self._yes("Is this the right microphone?", offered=True):
                return
        raise SetupError("no microphone was chosen; see 'earpatch devices', and run setup again")

    def _choose(self, found: list[Choice]) -> str | None:
        """A device, or None to look again."""
        for number, each in enumerate(found, 1):
            note = f" ({each.note})" if each.note else ""
            here = "  <- now" if each.device == self._answers.device else ""
            self._say(f"  {number}  {each.name}: {each.device}{note}{here}")
        if not found:
            self._say("No microphone is here. Plug one in and press Enter, or write which it will")
            self._say('be, such as "port:1-1.2".')
        devices = [each.device for each in found]
        offered = self._answers.device or (devices[0] if devices else "")
        typed = self._line("Which? A number, or its name", offered if devices else "")
        if typed.isdecimal():
            return devices[int(typed) - 1] if 1 <= int(typed) <= len(devices) else None
        if not typed:
            return None
        return typed if self._fits(device=typed) else None

    def _place(self) -> None:
        self._say("\n3. Where the machine stands, as site/area/line: events go to")
        self._say(f"   site/area/line/{self._answers.node}/event")
        self._ask("Site, area and line", "topic_prefix")

    def _broker(self) -> None:
        self._say("\n4. The MQTT broker, which takes the events.")
        for _ in range(MOST_TRIES):
            self._ask("Address (mqtts:// with TLS)", "url", _as_url)
            tls = self._answers.url.startswith("mqtts://")
            self._ask_or_none("File with the broker's authority, '-' for the usual ones", "ca_file",
                              asked=tls)  # fmt: skip
            self._ask_or_none("User name, '-' for none", "username")
            self._ask_password()
            if self._try_broker():
                return
        raise SetupError("no broker was found that answers")

    def _ask_password(self) -> None:
        self._password = None
        if self._answers.username is None:
            self._set(password_file=None)
            return
        kept = ", Enter keeps the one there is" if self._answers.password_file else ""
        self._password = self._person.secret(f"Password (not shown{kept}): ") or None

    def _try_broker(self) -> bool:
        try:
            settings = check(self._answers).mqtt()
        except SettingsError as error:
            self._say(f"   {error}")
            return False
        stages = self._around.broker(settings, self._answers.node, self._password)
        for stage in stages:
            self._say(f"   {stage.name:8} {'ok' if stage.ok else 'FAILED'}  {stage.text}")
        if all(stage.ok for stage in stages):
            self._say("   That was a test message. Whoever subscribes to that topic has seen it.")
            return self._yes("Go on?", offered=True)
        self._say("   Events wait on the node until the broker takes them.")
        kept = self._yes("Keep this broker although it didn't answer?", offered=False)
        self._set(broker_must_answer=not kept)
        return kept

    def _calibration(self) -> None:
        self._say("\n5. Calibration: the node learns how the machine sounds when it is well. Ten")
        self._say("   minutes are good; the machine must run, and nobody should hammer.")
        for _ in range(MOST_TRIES):
            text = self._line("Minutes to learn now, 0 for later", f"{OFFERED_MINUTES:g}")
            try:
                seconds = float(text) * MINUTE_S
            except ValueError:
                seconds = -1.0
            if seconds == 0.0 or LEAST_CALIBRATION_S <= seconds <= MOST_CALIBRATION_S:
                self._set(calibrate_s=seconds)
                return
            self._say("   0, or from 0.2 minutes to 1440")
        raise SetupError("no number of minutes was given")

    def _ask(self, question: str, key: str, form: Callable[[str], str] = str) -> None:
        for _ in range(MOST_TRIES):
            typed = form(self._line(question, getattr(self._answers, key)))
            if self._fits(**{key: typed}):
                self._set(**{key: typed})
                return
        raise SetupError(f"{question}: no answer that could be used")

    def _ask_or_none(self, question: str, key: str, *, asked: bool = True) -> None:
        """Where there may be none, `-` says so."""
        if not asked:
            self._set(**{key: None})
            return
        for _ in range(MOST_TRIES):
            typed = self._line(question, getattr(self._answers, key) or "-")
            value = None if typed == "-" else typed
            if self._fits(**{key: value}):
                self._set(**{key: value})
                return
        raise SetupError(f"{question}: no answer that could be used")

    def _fits(self, **answers: str | None) -> bool:
        """Whether answers have the right form; says why not."""
        raw = {**msgspec.to_builtins(self._answers), **answers}
        try:
            msgspec.convert(raw, Answers)
        except msgspec.ValidationError as error:
            self._say(f"   that doesn't fit: {error}")
            return False
        return True

    def _set(self, **answers: object) -> None:
        self._answers = msgspec.structs.replace(self._answers, **answers)

    def _line(self, question: str, offered: str) -> str:
        shown = f" [{offered}]" if offered else ""
        return self._person.answer(f"{question}{shown}: ").strip() or offered

    def _yes(self, question: str, *, offered: bool) -> bool:
        for _ in range(MOST_TRIES):
            typed = self._line(f"{question} (y/n)", "y" if offered else "n").lower()
            if typed in {"y", "yes", "n", "no"}:
                return typed.startswith("y")
        raise SetupError(f"{question} Neither yes nor no")

    def _say(self, text: str) -> None:
        self._person.say(text)


def _as_url(text: str) -> str:
    """A bare host is meant as one without TLS."""
    return text if "://" in text or not text else f"mqtt://{text}"
