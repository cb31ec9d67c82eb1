"""A person and surroundings that follow a script."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calibration.setup.answers import SetupError
from calibration.setup.partners import Choice
from edge.delivery.check import Stage

if TYPE_CHECKING:
    from edge.delivery.settings import MqttSettings

GOOD = [Stage("DNS", ok=True, text="x"), Stage("PUBACK", ok=True, text="x")]
BAD = [Stage("DNS", ok=True, text="x"), Stage("TCP", ok=False, text="connection refused")]
USB = Choice("port:1-1.2", "USB PnP")


@dataclass
class Script:
    """Answers questions by a word in them; Enter where nothing is written."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    password: str = ""
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    gone_at: str = ""  # the question at which the person has left

    def say(self, text: str) -> None:
        """Keep it."""
        self.said.append(text)

    def answer(self, question: str) -> str:
        """The next line for the first word that is in the question."""
        self.asked.append(question)
        if self.gone_at and self.gone_at in question:
            raise SetupError("nobody answers any more; nothing was written")
        for word, lines in self.lines.items():
            if word in question and lines:
                return lines.pop(0)
        return ""

    def secret(self, question: str) -> str:
        """The password."""
        self.asked.append(question)
        return self.password

    @property
    def text(self) -> str:
        """All that was said."""
        return "\n".join(self.said)


@dataclass
class Around:
    """What is found, call by call; the last one stays."""

    found: list[list[Choice]] = field(default_factory=lambda: [[USB]])
    stages: list[list[Stage]] = field(default_factory=lambda: [GOOD])
    asked: list[tuple[MqttSettings, str, str | None]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def microphones(self) -> list[Choice]:
        """The next list."""
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]

    def listen(self, device: str) -> str:
        """Keep which."""
        self.heard.append(device)
        return "heard"

    def broker(self, settings: MqttSettings, node: str, password: str | None) -> list[Stage]:
        """The next answer."""
        self.asked.append((settings, node, password))
        return self.stages.pop(0) if len(self.stages) > 1 else self.stages[0]
