"""What setup has to know, whether a person is asked or a file tells it."""

from __future__ import annotations

import re
import socket
import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from edge.capture.identity import parse_identity
from edge.delivery.settings import MqttSettings, Prefix, UserName, check_broker
from edge.errors import EarpatchError, SettingsError
from edge.section import Name, PathText, Section
from edge.words import printable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pathlib import Path

LEAST_CALIBRATION_S, MOST_CALIBRATION_S = 10.0, 86_400.0
Device = Annotated[str, Meta(max_length=200)]
Url = Annotated[str, Meta(max_length=512)]


class SetupError(EarpatchError):
    """Setup can't go on; it says what is missing."""


class Answers(Section, frozen=True):
    """A file of answers has these keys."""

    node: Name
    device: Device = ""  # as `earpatch devices` writes it; empty: the first that can record
    url: Url = "mqtt://127.0.0.1:1883"
    username: UserName | None = None
    password_file: PathText | None = None  # one line; the node reads it at every connection
    ca_file: PathText | None = None
    topic_prefix: Prefix = "site/area/line"
    broker_must_answer: bool = True  # else a broker that can't be reached is only told
    calibrate_s: float = 0.0  # learn so much normal sound now; 0: not now
    start: bool = False  # listen from now on, and after each boot

    def mqtt(self) -> MqttSettings:
        """The broker and the topics.

        Raises:
            SettingsError: they make no sense together.
        """
        keys = ("url", "username", "password_file", "ca_file", "topic_prefix")
        given = {key: value for key in keys if (value := getattr(self, key)) is not None}
        try:
            settings = msgspec.convert(given, MqttSettings)
        except msgspec.ValidationError as error:
            raise SettingsError(printable(str(error))) from None
        check_broker(settings)
        return settings


def check(answers: Answers) -> Answers:
    """What only makes sense together.

    Raises:
        SettingsError: something doesn't.
    """
    answers.mqtt()
    parse_identity(answers.device)
    limits = LEAST_CALIBRATION_S <= answers.calibrate_s <= MOST_CALIBRATION_S
    if answers.calibrate_s and not limits:
        raise SettingsError(
            f"calibrate_s = {answers.calibrate_s:g}: 0, or {LEAST_CALIBRATION_S:g} to "
            f"{MOST_CALIBRATION_S:g}"
        )
    return answers


def load_answers(path: Path) -> Answers:
    """Read a file of answers.

    Raises:
        SettingsError: it can't be read, isn't TOML, or a key is unknown, missing or wrong.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        return check(msgspec.convert(raw, Answers))
    except OSError as error:
        raise SettingsError(f"{path}: can't be read ({error.strerror})") from None
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {printable(str(error))}") from None
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, or not TOML
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise SettingsError(f"{path}: not TOML: {printable(line)}") from None


def first_answers(host: str | None = None) -> Answers:
    """What is offered when nothing was answered before: the computer's name, a broker on it."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname() if host is None else host)
    return Answers(node=name.strip("-")[:64] or "node-1")


def answers_from(raw: dict[str, Any], offered: Answers) -> Answers:
    """What a configuration says already, and for the rest what is offered."""
    node, source, mqtt = (raw.get(key, {}) for key in ("node", "source", "mqtt"))
    known = {
        "node": node.get("id"),
        "device": source.get("device"),
        **{
            key: mqtt.get(key)
            for key in ("url", "username", "password_file", "ca_file", "topic_prefix")
        },
    }
    return msgspec.structs.replace(
        offered, **{key: value for key, value in known.items() if value is not None}
    )
