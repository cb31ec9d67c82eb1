"""Whom setup talks to, as far as it knows them: a person, and what is around the node."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.delivery.check import Stage
    from edge.delivery.settings import MqttSettings


class Person(Protocol):
    """Who is asked."""

    def say(self, text: str) -> None:
        """Tell something."""
        ...

    def answer(self, question: str) -> str:
        """Ask for a line.

        Raises:
            SetupError: nobody is there any more.
        """
        ...

    def secret(self, question: str) -> str:
        """Ask for a line that isn't shown."""
        ...


class Choice(NamedTuple):
    """A microphone that could be chosen."""

    device: str
    name: str
    note: str = ""


class Surroundings(Protocol):
    """What is around the node, as far as setup looks at it."""

    def microphones(self) -> Sequence[Choice]:
        """Those that are here now."""
        ...

    def listen(self, device: str) -> str:
        """Show the level for some seconds; returns how the microphone was heard, in words."""
        ...

    def broker(self, settings: MqttSettings, node: str, password: str | None) -> list[Stage]:
        """Go all the way to the broker, and leave a test message there."""
        ...
