"""The connection: it comes back whatever happens, and says what is wrong in words."""

from __future__ import annotations

import logging
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from importlib.metadata import requires
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.delivery import client as client_module
from edge.delivery import connection as connection_module
from edge.delivery.backoff import BackoffLimits
from edge.delivery.client import Identity, make_client
from edge.delivery.connection import Connection, can_subscribe
from edge.delivery.credentials import password, tls_context
from edge.delivery.settings import BrokerSettings
from edge.delivery.trouble import Kind, of_exception
from edge.errors import SettingsError
from tests.conftest import Broker, free_port, run_mosquitto
from tests.edge.delivery.certificates import EARLIER, LATER, Authority
from tests.edge.delivery.faults import Proxy
from tests.edge.delivery.test_listen import Subscriber, retained, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.delivery.session import Received

FAST = BackoffLimits(first_s=0.05, last_s=0.2, considerate_s=0.3)
AVAILABILITY = "site/pump-3/availability"
IDENTITY = Identity("earpatch-pump-3", AVAILABILITY)
SECRET = "correct horse"  # noqa: S105


def settings(port: int, *, tls: bool = False, **changes: Any) -> BrokerSettings:
    scheme = "mqtts" if tls else "mqtt"
    return BrokerSettings(url=f"{scheme}://127.0.0.1:{port}", **changes)


@contextmanager
def connecting(
    broker: BrokerSettings, identity: Identity = IDENTITY, limits: BackoffLimits = FAST
) -> Iterator[Connection]:
    connection = Connection(broker, identity, limits)
    connection.start()
    try:
        yield connection
    finally:
        connection.stop()


def trouble_with(broker: BrokerSettings) -> tuple[Kind, str]:
    """What a connection says when it can't be made."""
    with connecting(broker) as connection:
        wait_until(lambda: connection.trouble)
        assert connection.trouble is not None
        assert connection.session is None
        return connection.trouble.kind, connection.trouble.text


def test_paho_has_the_callbacks_of_version_2_and_nothing_older_is_installed() -> None:
    """F01, F02: Debian 12's paho 1.6 is refused by pip, not by a traceback in the field."""
    client = make_client(settings(1883), IDENTITY, paho.MQTTv5)
    assert client.callback_api_version is CallbackAPIVersion.VERSION2
    wanted = [name for name in requires("earpatch") or [] if name.startswith("paho-mqtt")]
    assert sorted(wanted[0].removeprefix("paho-mqtt").split(",")) == ["<3", ">=2.1"]


@pytest.mark.parametrize(("protocol", "version"), [("auto", "5"), ("5", "5"), ("3.1.1", "3.1.1")])
def test_mqtt_5_is_spoken_unless_3_1_1_is_asked_for(
    broker: Broker, caplog: pytest.LogCaptureFixture, protocol: Any, version: str
) -> None:
    caplog.set_level(logging.INFO, connection_module.__name__)
    with connecting(settings(broker.port, protocol=protocol)) as connection:
        wait_until(lambda: connection.session)
        assert retained(broker.port, AVAILABILITY) == b"online"
    assert f"with MQTT {version}" in caplog.text
    assert retained(broker.port, AVAILABILITY) == b"offline"


class OldBroker:
    """Knows MQTT 3.1.1 only, and answers CONNECT of version 5 in one of the ways seen."""

    CONNACK: ClassVar[dict[str, bytes | None]] = {
        "refuses": b"\x20\x02\x00\x01",
        "hangs up": b"",
        "says nothing": None,
    }

    def __init__(self, manner: str) -> None:
        self._answer = self.CONNACK[manner]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.versions: list[int] = []
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        for one in self._open:
            one.close()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                node, _ = self._listener.accept()
            except OSError:
                return
            packet = node.recv(1_000)
            self.versions.append(packet[packet.index(b"MQTT") + 4])
            self._open.append(node)
            if self.versions[-1] == 4:
                node.sendall(b"\x20\x02\x00\x00")
            elif self._answer is not None:
                node.sendall(self._answer)
                node.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("manner", OldBroker.CONNACK)
def test_a_broker_that_knows_3_1_1_only_is_spoken_to_in_3_1_1_for_good(
    manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.delivery.session.CONNECT_TIMEOUT_S", 0.5)
    old = OldBroker(manner)
    with connecting(settings(old.port), Identity("listener")) as connection:
        wait_until(lambda: connection.session)
        old._open[-1].shutdown(socket.SHUT_RDWR)
        wait_until(lambda: connection.sessions == 2)
        assert old.versions == [5, 4, 4]
    old.close()


def test_what_is_no_broker_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """F30: no CONNACK."""
    monkeypatch.setattr("edge.delivery.session.CONNECT_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        kind, text = trouble_with(settings(silent.getsockname()[1]))
    assert kind is Kind.TIMEOUT
    assert "answers on TCP, but not with MQTT" in text


def test_nothing_that_listens_is_refused() -> None:
    """F05, F29."""
    kind, text = trouble_with(settings(free_port()))
    assert kind is Kind.REFUSED
    assert "connection refused; is the broker running there?" in text


ERRORS = {
    "unknown name": (socket.gaierror(-2, "Name or service not known"), Kind.DNS, "DNS"),
    "no resolver": (socket.gaierror(-3, "Temporary failure"), Kind.DNS, "DNS"),
    "dropped": (TimeoutError("timed out"), Kind.TIMEOUT, "no answer"),
    "no route": (OSError(113, "No route to host"), Kind.UNREACHABLE, "No route to host"),
    "no network": (OSError(101, "Network is unreachable"), Kind.UNREACHABLE, "unreachable"),
    "never seen": (RuntimeError("what?"), Kind.PROTOCOL, "RuntimeError: what?"),
}


@pytest.mark.parametrize(("error", "kind", "words"), ERRORS.values(), ids=ERRORS)
def test_errors_of_the_network_are_told_apart(error: Exception, kind: Kind, words: str) -> None:
    """F03, F04, F05, F07: firewalls that reject and that drop among them."""
    trouble = of_exception(error, BrokerSettings(url="mqtt://no.such.host"))
    assert trouble.kind is kind
    assert words in trouble.text
    assert "no.such.host" in trouble.text


def test_a_name_that_is_not_known_at_boot_is_tried_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F04, F05: DNS comes up later than the node."""
    real, calls = socket.getaddrinfo, list[int]()

    def late(host: str, *arguments: Any, **more: Any) -> Any:
        if host != "broker.example":
            return real(host, *arguments, **more)
        calls.append(1)
        if len(calls) < 3:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real("127.0.0.1", *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", late)
    url = f"mqtt://broker.example:{broker.port}"
    with connecting(BrokerSettings(url=url)) as connection:
        wait_until(lambda: connection.session)
    assert len(calls) == 3


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[int]:
    """A broker that wants a password; its port."""
    accounts = tmp_path / "accounts"
    command = ["mosquitto_passwd", "-c", "-b", str(accounts), "node", SECRET]
    subprocess.run(command, check=True)
    port = free_port()
    with run_mosquitto(tmp_path, port, f"password_file {accounts}", "allow_anonymous false"):
        yield port


def test_a_password_from_a_file_opens_the_door(guarded: int, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{SECRET}\n")
    known = settings(guarded, username="node", password_file=str(tmp_path / "password"))
    with connecting(known) as connection:
        wait_until(lambda: connection.session)


def test_a_password_from_a_systemd_credential_opens_the_door(
    guarded: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mqtt-password").write_text(SECRET)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with connecting(settings(guarded, username="node")) as connection:
        wait_until(lambda: connection.session)


def test_a_credential_that_stands_in_for_a_missing_file_is_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unit has one, so that a node without a password starts as well."""
    (tmp_path / "mqtt-password").write_text("\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert password(settings(1, username="node")) is None


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_wrong_password_is_told_never_shown_and_can_be_corrected_while_it_runs(
    guarded: int, tmp_path: Path, caplog: pytest.LogCaptureFixture, protocol: Any
) -> None:
    """F29."""
    caplog.set_level(logging.DEBUG)
    password = tmp_path / "password"
    password.write_text("wrong and secret")
    broker = settings(guarded, username="node", password_file=str(password), protocol=protocol)
    with connecting(broker) as connection:
        wait_until(lambda: connection.trouble)
        assert connection.trouble is not None
        assert connection.trouble.kind is Kind.AUTH
        assert "mqtt.username 'node'" in connection.trouble.text
        password.write_text(SECRET)
        wait_until(lambda: connection.session)
    assert "secret" not in caplog.text + repr(broker)
    assert SECRET not in caplog.text + repr(broker)


def test_wrong_passwords_are_tried_at_most_twice_a_minute(guarded: int) -> None:
    """F29: no hot loop; brokers lock out who hammers."""
    hop = Proxy(guarded)
    limits = BackoffLimits(first_s=0.01, last_s=0.01)
    with connecting(settings(hop.port), limits=limits) as connection:
        wait_until(lambda: connection.trouble)
        time.sleep(1.0)
        assert hop.connections == 1
    hop.close()


def test_a_password_file_that_vanishes_is_told_and_waited_for(guarded: int, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(SECRET)
    connection = Connection(
        settings(guarded, username="node", password_file=str(password)), IDENTITY, FAST
    )
    password.unlink()
    connection.start()
    wait_until(lambda: connection.trouble)
    assert "mqtt.password_file" in str(connection.trouble)
    password.write_text(SECRET)
    wait_until(lambda: connection.session)
    connection.stop()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("own") / "ca")


@contextmanager
def secured(
    folder: Path, authority: Authority, certificate: tuple[Path, Path], *lines: str
) -> Iterator[int]:
    """A broker with TLS; its port."""
    port = free_port()
    with run_mosquitto(
        folder, port, f"cafile {authority.certificate}", f"certfile {certificate[0]}",
        f"keyfile {certificate[1]}", *lines,
    ):  # fmt: skip
        yield port


def test_tls_with_an_authority_of_one_s_own(tmp_path: Path, authority: Authority) -> None:
    with secured(tmp_path, authority, authority.sign("broker")) as port:
        broker = settings(port, tls=True, ca_file=str(authority.certificate))
        with connecting(broker) as connection:
            wait_until(lambda: connection.session)


def test_a_certificate_that_is_not_yet_valid_names_this_machine_s_clock(
    tmp_path: Path, authority: Authority
) -> None:
    """F31."""
    with secured(tmp_path, authority, authority.sign("early", LATER)) as port:
        kind, text = trouble_with(settings(port, tls=True, ca_file=str(authority.certificate)))
    assert kind is Kind.TLS
    assert "not yet valid: is this machine's clock right?" in text


def test_tls_that_fails_at_first_is_tried_again(tmp_path: Path, authority: Authority) -> None:
    """F31, F10: until the clock is set, or the broker has another certificate."""
    ca_file = str(authority.certificate)
    early = authority.sign("early-bird", LATER)
    port = free_port()
    common = [f"cafile {ca_file}"]
    good = authority.sign("later")
    broker = settings(port, tls=True, ca_file=ca_file)
    with connecting(broker) as connection:
        with run_mosquitto(tmp_path, port, *common, f"certfile {early[0]}", f"keyfile {early[1]}"):
            wait_until(lambda: connection.trouble and connection.trouble.kind is Kind.TLS)
        with run_mosquitto(tmp_path, port, *common, f"certfile {good[0]}", f"keyfile {good[1]}"):
            wait_until(lambda: connection.session)


def test_a_tls_link_that_is_cut_in_the_middle_comes_back(
    tmp_path: Path, authority: Authority
) -> None:
    """F10, F21: EOF within TLS must not end the thread, however often it is told of it."""
    with secured(tmp_path, authority, authority.sign("cut")) as port:
        hop = Proxy(port)
        broker = settings(hop.port, tls=True, ca_file=str(authority.certificate))
        with connecting(broker) as connection:
            for number in range(1, 6):
                wait_until(lambda: connection.session)
                assert connection.sessions == number
                hop.cut()
                wait_until(lambda: not connection.session)
            wait_until(lambda: connection.session)
        hop.close()


def test_what_is_wrong_with_a_certificate_is_told(tmp_path: Path, authority: Authority) -> None:
    """F32: expired, for another host, signed by somebody else, no TLS at all."""
    ours = str(authority.certificate)
    with secured(tmp_path, authority, authority.sign("old", EARLIER)) as port:
        assert "has expired" in trouble_with(settings(port, tls=True, ca_file=ours))[1]
    with secured(tmp_path, authority, authority.sign("other", host="DNS:other")) as port:
        kind, text = trouble_with(settings(port, tls=True, ca_file=ours))
        assert kind is Kind.TLS
        assert "127.0.0.1" in text
    stranger = Authority(tmp_path / "stranger", "somebody else")
    with secured(tmp_path, authority, authority.sign("good")) as port:
        theirs = str(stranger.certificate)
        kind, text = trouble_with(settings(port, tls=True, ca_file=theirs))
        assert kind is Kind.TLS
        assert f"not signed by mqtt.ca_file {theirs}" in text
        assert "the system's authorities" in trouble_with(settings(port, tls=True))[1]
    with run_mosquitto(tmp_path, port := free_port()):
        kind, text = trouble_with(settings(port, tls=True, ca_file=ours))
        assert kind is Kind.TLS
        assert "is that a port for TLS?" in text


def test_a_client_certificate_is_shown_and_its_absence_is_told(
    tmp_path: Path, authority: Authority
) -> None:
    certificate, key = authority.sign("node")
    with secured(tmp_path, authority, authority.sign("b"), "require_certificate true") as port:
        ca_file = str(authority.certificate)
        broker = settings(
            port, tls=True, ca_file=ca_file, cert_file=str(certificate), key_file=str(key)
        )
        with connecting(broker) as connection:
            wait_until(lambda: connection.session)
        kind, text = trouble_with(settings(port, tls=True, ca_file=ca_file))
        assert kind is Kind.TLS
        assert "mqtt.cert_file" in text


def test_files_that_are_no_certificates_are_mistakes_of_the_configuration(
    tmp_path: Path, authority: Authority
) -> None:
    text, missing = tmp_path / "text.pem", tmp_path / "missing.pem"
    text.write_text("no certificate")
    certificate, key = map(str, authority.sign("mine"))
    other_key = str(authority.sign("another")[1])
    ours = {"tls": True, "ca_file": str(authority.certificate)}
    wrong: list[dict[str, Any]] = [
        {"tls": True, "ca_file": str(missing)},
        {"tls": True, "ca_file": str(text)},
        {**ours, "cert_file": str(missing)},
        {**ours, "cert_file": certificate},
        {**ours, "cert_file": certificate, "key_file": other_key},
        {**ours, "cert_file": key, "key_file": certificate},
        {"username": "node", "password_file": str(missing)},
        {"username": "node", "password_file": str(tmp_path)},
    ]
    for changes in wrong:
        with pytest.raises(SettingsError) as raised:
            Connection(settings(8883, **changes), IDENTITY)
        assert len(str(raised.value).splitlines()) == 1
        assert "_file" in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff\xfe", bytes(70_000)])
def test_a_file_that_holds_no_password_is_a_mistake_that_is_not_repeated(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "password").write_bytes(content)
    broker = settings(1883, username="node", password_file=str(tmp_path / "password"))
    with pytest.raises(SettingsError) as raised:
        Connection(broker, IDENTITY)
    assert "mqtt.password_file" in str(raised.value)
    assert "two" not in str(raised.value)


def test_an_encrypted_key_is_refused_and_does_not_ask_at_the_terminal(
    tmp_path: Path, authority: Authority
) -> None:
    """A16: nobody sits there."""
    certificate, key = authority.sign("locked")
    locked = tmp_path / "locked.key"
    encrypt = ["openssl", "ec", "-aes128", "-passout", "pass:x"]
    encrypt += ["-in", str(key), "-out", str(locked)]
    subprocess.run(encrypt, check=True, capture_output=True)
    broker = settings(
        8883, tls=True, ca_file=str(authority.certificate), cert_file=str(certificate),
        key_file=str(locked),
    )  # fmt: skip
    with pytest.raises(SettingsError, match=r"mqtt\.cert_file"):
        Connection(broker, IDENTITY)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_two_clients_with_one_id_are_asked_about_and_do_not_fight_in_a_hot_loop(
    broker: Broker, protocol: Any
) -> None:
    """F28. mosquitto 2.0.11 doesn't tell the first one why it has to go."""
    node = settings(broker.port, protocol=protocol)
    slow = BackoffLimits(first_s=0.3, last_s=0.4)
    with connecting(node, limits=slow) as first, connecting(node, limits=slow) as second:
        begun_s = time.monotonic()
        wait_until(
            lambda: (
                "another client use the id earpatch-pump-3?" in f"{first.trouble} {second.trouble}"
            )
        )
        wars = (time.monotonic() - begun_s) / 0.3
        assert first.sessions + second.sessions <= 2 * wars + 4


def test_where_the_broker_tells_it_a_taken_over_session_is_told_as_such() -> None:
    """F28."""
    telling = TellingBroker()
    limits = BackoffLimits(first_s=0.01, last_s=0.01)
    with connecting(settings(telling.port, protocol="5"), limits=limits) as connection:
        wait_until(lambda: connection.trouble)
        assert connection.trouble is not None
        assert connection.trouble.kind is Kind.TAKEN_OVER
        assert "a second node of this name?" in connection.trouble.text
        time.sleep(0.5)
        assert connection.sessions == 1, "the other one is left in peace for half a minute"
    telling.close()


def test_subscriptions_and_retained_messages_are_renewed_after_a_restart_of_the_broker(
    tmp_path: Path,
) -> None:
    """F33, F36: the broker forgets everything, and the link looks healthy."""
    port, got = free_port(), list[bytes]()
    with connecting(settings(port)) as connection:
        connection.subscribe("site/pump-3/command", lambda message: got.append(message.payload))
        connection.retain("site/pump-3/state", b"old")
        for number in (b"1", b"2"):
            with run_mosquitto(tmp_path, port):
                wait_until(lambda: connection.subscribed("site/pump-3/command"))
                assert retained(port, AVAILABILITY) == b"online"
                assert retained(port, "site/pump-3/state") == b"old"
                tell(port, "site/pump-3/command", number)
                wait_until(lambda: len(got) == int(number))  # noqa: B023
            wait_until(lambda: connection.trouble)
    assert got == [b"1", b"2"]


def tell(port: int, topic: str, payload: bytes) -> None:
    with connecting(settings(port), Identity("teller")) as teller:
        wait_until(lambda: teller.session)
        assert teller.session is not None
        teller.session.publish(topic, payload)
        answered = teller.session.acknowledged
        wait_until(lambda: not answered.empty())


def test_a_retained_message_can_expire(broker: Broker) -> None:
    with connecting(settings(broker.port)) as connection:
        wait_until(lambda: connection.session)
        connection.retain("site/pump-3/alarm", b"shelved", expiry_s=3)
        wait_until(lambda: retained(broker.port, "site/pump-3/alarm") == b"shelved")

        def forgotten() -> bool:
            with Subscriber(broker.port, "site/pump-3/alarm") as late:
                time.sleep(0.3)
                return not late.messages

        wait_until(forgotten)


def test_no_command_ends_the_connection(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    """F11: the handler fails, the payload is garbage, the topic is no UTF-8 for a person."""
    got: list[Received] = []

    def handle(message: Received) -> None:
        got.append(message)
        raise KeyError(message.payload)

    with connecting(settings(broker.port)) as connection:
        connection.subscribe("site/#", handle)
        wait_until(lambda: connection.subscribed("site/#"))
        for payload in (b"", b"{", b"\xff" * 100, bytes(60_000)):
            tell(broker.port, "site/pump-3/command", payload)
        wait_until(lambda: len([m for m in got if m.topic.endswith("command")]) >= 4)
        assert connection.sessions == 1
        assert connection.session is not None
    assert caplog.text.count("Traceback") == 1


def test_a_retained_command_is_told_from_a_fresh_one(broker: Broker) -> None:
    got: list[Received] = []
    with connecting(settings(broker.port)) as connection:
        connection.retain("site/pump-3/command", b"old")
        wait_until(lambda: connection.session)
        with connecting(settings(broker.port), Identity("other")) as other:
            other.subscribe("site/pump-3/command", got.append)
            wait_until(lambda: got)
            assert got[0].retained
            tell(broker.port, "site/pump-3/command", b"new")
            wait_until(lambda: len(got) == 2)
            assert not got[1].retained


@pytest.mark.parametrize(
    ("topic", "fits"),
    [
        ("#", True), ("a/+/b", True), ("+", True), ("/", True), ("a/#", True), ("$SYS/x", True),
        ("", False), ("a#", False), ("a/#/b", False), ("a+/b", False), ("\0", False),
        ("a" * 65_536, False),
    ],
)  # fmt: skip
def test_what_is_a_topic_filter(topic: str, fits: bool) -> None:
    assert can_subscribe(topic) is fits
    if not fits:
        with pytest.raises(ValueError, match="topic filter"):
            Connection(settings(1883), IDENTITY).subscribe(topic, lambda _: None)


def test_a_subscription_that_is_not_allowed_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """F30. Only a plug-in of mosquitto's refuses a filter; here a broker that does."""
    refusing = RefusingBroker()
    with connecting(settings(refusing.port, protocol="3.1.1"), Identity("node")) as connection:
        connection.subscribe("site/secret", lambda _: None)
        wait_until(lambda: connection.refused)
        assert connection.refused is not None
        assert connection.refused.kind is Kind.ACL
        assert "does not allow to subscribe to site/secret" in caplog.text
    refusing.close()


class TellingBroker(OldBroker):
    """Accepts MQTT 5 and says at once that another client has taken the session over."""

    def __init__(self) -> None:
        super().__init__("hangs up")

    def _serve(self) -> None:
        node, _ = self._listener.accept()
        self._open.append(node)
        node.recv(1_000)
        node.sendall(b"\x20\x03\x00\x00\x00" + b"\xe0\x02\x8e\x00")


class RefusingBroker(OldBroker):
    """Answers each SUBSCRIBE with a failure."""

    def __init__(self) -> None:
        super().__init__("hangs up")

    def _serve(self) -> None:
        node, _ = self._listener.accept()
        self._open.append(node)
        node.recv(1_000)
        node.sendall(b"\x20\x02\x00\x00")
        subscribe = node.recv(1_000)
        node.sendall(b"\x90\x03" + subscribe[2:4] + b"\x80")


def test_a_broker_that_hangs_is_noticed_and_left(tmp_path: Path) -> None:
    """F10, E12: half open. SIGSTOP; the kernel goes on to acknowledge at the TCP level."""
    port = free_port()
    with run_mosquitto(tmp_path, port) as hanging:
        quick = settings(port, keepalive_s=5)
        with connecting(quick) as connection:
            wait_until(lambda: connection.session)
            hanging.process.send_signal(signal.SIGSTOP)
            try:
                wait_until(lambda: connection.trouble)
                assert connection.trouble is not None
                assert connection.trouble.kind in {Kind.TIMEOUT, Kind.GONE}
            finally:
                hanging.process.send_signal(signal.SIGCONT)
            wait_until(lambda: connection.session)


def test_stopping_takes_no_longer_than_it_must(tmp_path: Path) -> None:
    """E12, F18: with a broker that hangs, and with none."""
    port = free_port()
    with run_mosquitto(tmp_path, port) as hanging:
        connection = Connection(settings(port), IDENTITY, FAST)
        connection.start()
        wait_until(lambda: connection.session)
        hanging.process.send_signal(signal.SIGSTOP)
        begun_s = time.monotonic()
        connection.stop()
        assert time.monotonic() - begun_s < connection_module.STOP_TIMEOUT_S
        assert not connection._thread.is_alive()
        hanging.process.send_signal(signal.SIGCONT)


def test_a_session_leaves_no_sockets_behind(broker: Broker) -> None:
    """E10: a link that comes and goes for months."""
    hop = Proxy(broker.port)

    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    limits = BackoffLimits(first_s=0.01, last_s=0.02)
    with connecting(settings(hop.port), limits=limits) as connection:
        wait_until(lambda: connection.session)
        before = files()
        for _ in range(20):
            wait_until(lambda: connection.session)
            hop.cut()
            wait_until(lambda: not connection.session)
        wait_until(lambda: connection.session)
        assert connection.sessions == 21
        assert files() <= before + 12  # those of the hop itself, not yet closed
    hop.close()


def test_the_tls_in_use_is_recent_and_checks_names(authority: Authority) -> None:
    context = tls_context(settings(8883, tls=True, ca_file=str(authority.certificate)))
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert client_module.CONNECT_TIMEOUT_S <= 30
