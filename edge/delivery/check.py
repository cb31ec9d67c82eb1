"""The way to the broker, stage by stage, for a person who wants to know where it ends."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from typing import TYPE_CHECKING

import msgspec
from paho.mqtt import client as paho

from edge.delivery.client import CONNECT_TIMEOUT_S, Identity
from edge.delivery.connection import PROTOCOLS
from edge.delivery.credentials import password, tls_context
from edge.delivery.session import Session
from edge.delivery.trouble import of_exception
from edge.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.delivery.session import Acknowledged
    from edge.delivery.settings import BrokerSettings, MqttSettings

POLL_S = 0.02
CHECK_LEAF = "check"
RESOLVER_TIMEOUT_S = 15.0


class Stage(msgspec.Struct, frozen=True):
    """One step, and how it went."""

    name: str  # DNS, TCP, TLS, CONNECT or PUBACK
    ok: bool
    text: str


def stage_check(settings: MqttSettings, node: str) -> list[Stage]:
    """Try each step until one fails. Takes at most about a minute, and raises nothing.

    The client id is another one than the node's, so that a running node isn't thrown out; the
    message of the last step goes to `<prefix>/<node>/check`, not retained.
    """
    stages: list[Stage] = []
    for stage in _stages(settings, node):
        stages.append(stage)
        if not stage.ok:
            break
    return stages


def _stages(settings: MqttSettings, node: str) -> Iterator[Stage]:
    yield _resolve(settings)
    yield _reach(settings)
    if settings.address.tls:
        yield _encrypt(settings)
    yield from _talk(settings, f"{settings.topic_prefix}/{node}/{CHECK_LEAF}")


def _resolve(settings: BrokerSettings) -> Stage:
    """In a thread of its own: the resolver has no deadline."""
    address = settings.address
    found: list[Stage] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            hosts = dict.fromkeys(str(answer[4][0]) for answer in answers)
            found.append(Stage("DNS", ok=True, text=f"{address.host} is {', '.join(hosts)}"))
        except (OSError, UnicodeError) as error:
            found.append(Stage("DNS", ok=False, text=of_exception(error, settings).text))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(RESOLVER_TIMEOUT_S)
    late = f"no answer about {address.host} in {RESOLVER_TIMEOUT_S:.0f} s"
    return found[0] if found else Stage("DNS", ok=False, text=late)


def _reach(settings: BrokerSettings) -> Stage:
    address = settings.address
    try:
        with socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S):
            return Stage("TCP", ok=True, text=f"port {address.port} answers")
    except OSError as error:
        return Stage("TCP", ok=False, text=of_exception(error, settings).text)


def _encrypt(settings: BrokerSettings) -> Stage:
    address = settings.address
    try:
        with (
            socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S) as plain,
            tls_context(settings).wrap_socket(plain, server_hostname=address.host) as secured,
        ):
            return Stage("TLS", ok=True, text=f"{secured.version()}, the certificate is good")
    except (OSError, SettingsError) as error:
        return Stage("TLS", ok=False, text=of_exception(error, settings).text)


def _talk(settings: BrokerSettings, topic: str) -> Iterator[Stage]:
    """CONNECT, in the older version too if need be, and one message."""
    try:
        password(settings)
    except SettingsError as error:
        yield Stage("CONNECT", ok=False, text=str(error))
        return
    for protocol in PROTOCOLS[settings.protocol]:
        session = _session(settings, protocol)
        stop = threading.Event()
        thread = threading.Thread(target=session.run, args=(stop,), daemon=True)
        thread.start()
        if _answered(session):
            version = "5" if protocol == paho.MQTTv5 else "3.1.1"
            who = f" as {settings.username!r}" if settings.username else ""
            yield Stage("CONNECT", ok=True, text=f"MQTT {version}{who}")
            yield _publish(session, topic)
        stop.set()
        thread.join(CONNECT_TIMEOUT_S)
        if session.accepted:
            return
    text = session.ended.text if session.ended else f"no answer in {CONNECT_TIMEOUT_S:.0f} s"
    yield Stage("CONNECT", ok=False, text=text)


def _answered(session: Session) -> bool:
    _wait(lambda: session.ready.is_set() or session.ended is not None)
    return session.ready.is_set()


def _session(settings: BrokerSettings, protocol: int) -> Session:
    identity = Identity(f"earpatch-check-{secrets.token_hex(4)}")
    return Session(settings, identity, protocol, lambda _: None, lambda _: None)


def _publish(session: Session, topic: str) -> Stage:
    mid = session.publish(topic, b"{}")
    answers: list[Acknowledged] = []

    def answered() -> bool:
        while not session.acknowledged.empty():
            answers.append(session.acknowledged.get())
        return bool(answers) or session.ended is not None

    _wait(answered)
    answer = next((answer for answer in answers if answer.mid == mid), None)
    if answer is None:
        text = session.ended.text if session.ended else "no acknowledgement"
        return Stage("PUBACK", ok=False, text=f"{topic}: {text}")
    if answer.failed:
        return Stage("PUBACK", ok=False, text=f"{topic}: {answer.words}")
    text = f"{topic} is acknowledged"
    if session.protocol != paho.MQTTv5:
        text += "; over MQTT 3.1.1 a broker may acknowledge what its rules forbid, and drop it"
    return Stage("PUBACK", ok=True, text=text)


def _wait(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 2 * CONNECT_TIMEOUT_S
    while not condition() and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
