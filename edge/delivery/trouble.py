"""What can be wrong between a node and its broker, told apart and in words."""

from __future__ import annotations

import enum
import socket
import ssl
from typing import TYPE_CHECKING

import msgspec

from edge.errors import SettingsError

if TYPE_CHECKING:
    from edge.delivery.settings import BrokerSettings


class Kind(enum.Enum):
    """What to look after."""

    DNS = "dns"  # the name isn't known
    REFUSED = "refused"  # nothing listens there
    TIMEOUT = "timeout"  # no answer
    UNREACHABLE = "unreachable"  # no way there
    TLS = "tls"  # certificates, or no TLS there
    AUTH = "auth"  # user name, password or client certificate
    ACL = "acl"  # connected, but not allowed to do something
    TAKEN_OVER = "taken over"  # another client has the same id
    PROTOCOL = "protocol"  # it answers, but not with MQTT, or not with this version of it
    GONE = "gone"  # the connection was there and has ended
    OVERSIZED = "oversized"  # what comes is too large to be taken


class Trouble(msgspec.Struct, frozen=True):
    """One reason why nothing is delivered."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def considerate(self) -> bool:
        """Whether to try again is a nuisance to others."""
        return self.kind in {Kind.AUTH, Kind.TAKEN_OVER}


# MQTT 5, 2.4 "Reason Code"; paho translates the codes of 3.1.1 into them.
CONNACK_KINDS = {
    0x86: Kind.AUTH,  # bad user name or password
    0x87: Kind.AUTH,  # not authorised
    0x8A: Kind.AUTH,  # banned
    0x8C: Kind.AUTH,  # bad authentication method
    0x88: Kind.REFUSED,  # server unavailable
    0x89: Kind.REFUSED,  # server busy
    0x97: Kind.REFUSED,  # quota exceeded
    0x9F: Kind.REFUSED,  # connection rate exceeded
}
DISCONNECT_KINDS = {
    0x87: Kind.ACL,  # not authorised
    0x8D: Kind.TIMEOUT,  # keep alive timeout
    0x8E: Kind.TAKEN_OVER,  # session taken over
    0x81: Kind.PROTOCOL,  # malformed packet
    0x82: Kind.PROTOCOL,  # protocol error
    0x95: Kind.PROTOCOL,  # packet too large
}
# X509_V_ERR_... of OpenSSL
NOT_YET_VALID, EXPIRED = 9, 10
UNKNOWN_ISSUER = {2, 18, 19, 20, 21}


def of_exception(error: Exception, settings: BrokerSettings) -> Trouble:
    """Why a connection could not be made."""
    address = settings.address
    if isinstance(error, SettingsError):
        return Trouble(Kind.TLS if "_file" in str(error) else Kind.AUTH, str(error))
    if isinstance(error, ssl.SSLError):
        return Trouble(Kind.TLS, f"{address}: {_tls_reason(error, settings)}")
    kind, reason = _tcp_reason(error, settings)
    return Trouble(kind, f"{address} can't be reached: {reason}")


def _tcp_reason(error: Exception, settings: BrokerSettings) -> tuple[Kind, str]:
    address = settings.address
    if isinstance(error, TimeoutError) and "handshake" in str(error):
        return Kind.TLS, "no answer to the TLS handshake; is that a port for TLS?"
    if isinstance(error, ConnectionResetError) and address.tls:
        return Kind.TLS, "it ended the TLS handshake; is that a port for TLS?"
    known: tuple[tuple[type[Exception], Kind, str], ...] = (
        (socket.gaierror, Kind.DNS, f"the name {address.host!r} is not known to DNS"),
        (UnicodeError, Kind.DNS, f"the name {address.host!r} is not known to DNS"),
        (TimeoutError, Kind.TIMEOUT, "no answer (timed out)"),
        (ConnectionRefusedError, Kind.REFUSED, "connection refused; is the broker running there?"),
        (OSError, Kind.UNREACHABLE, getattr(error, "strerror", None) or str(error)),
    )
    for type_, kind, text in known:
        if isinstance(error, type_):
            return kind, text
    return Kind.PROTOCOL, f"{type(error).__name__}: {error}"


def _tls_reason(error: ssl.SSLError, settings: BrokerSettings) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return _handshake_reason(error, settings)
    trusted = f"mqtt.ca_file {settings.ca_file}" if settings.ca_file else "the system's authorities"
    untrusted = f"the broker's certificate is not signed by {trusted} ({error.verify_message})"
    reasons = {
        NOT_YET_VALID: "the broker's certificate is not yet valid: is this machine's clock right?",
        EXPIRED: "the broker's certificate has expired, or this machine's clock is ahead",
        **dict.fromkeys(UNKNOWN_ISSUER, untrusted),
    }
    other = f"the broker's certificate is refused ({error.verify_message})"
    return reasons.get(error.verify_code, other)


def _handshake_reason(error: ssl.SSLError, settings: BrokerSettings) -> str:
    words = (error.reason or str(error)).replace("_", " ").lower()
    if "alert" in words and ("certificate" in words or "unknown ca" in words):
        return f"the broker doesn't accept mqtt.cert_file {settings.cert_file} ({words})"
    if "eof" in words or "wrong version" in words or "record layer" in words:
        return f"no TLS there ({words}); is that a port for TLS?"
    return f"TLS failed ({words})"


def of_connack(reason: int, words: str, settings: BrokerSettings) -> Trouble:
    """Why the broker answers CONNECT with a refusal."""
    kind = CONNACK_KINDS.get(reason, Kind.PROTOCOL)
    hint = ""
    if kind is Kind.AUTH:
        who = f"mqtt.username {settings.username!r}" if settings.username else "no mqtt.username"
        hint = f" ({who})"
    return Trouble(kind, f"{settings.address} refuses the connection: {words}{hint}")


def of_disconnect(reason: int | None, words: str, settings: BrokerSettings) -> Trouble:
    """Why a connection has ended; `reason` is None unless the broker told one."""
    if reason is None:
        return Trouble(Kind.GONE, f"{settings.address} is gone: {words}")
    kind = DISCONNECT_KINDS.get(reason, Kind.GONE)
    if kind is Kind.TAKEN_OVER:
        words += "; another client uses the same client id: is there a second node of this name?"
    return Trouble(kind, f"{settings.address} is gone: {words}")


def of_oversized(coming_bytes: int, settings: BrokerSettings) -> Trouble:
    """Why a connection is ended while something huge is coming."""
    return Trouble(
        Kind.OVERSIZED,
        f"{settings.address} sends {coming_bytes:,} bytes at once, and commands are small; is that "
        "retained on a topic for commands?",
    )


def without_connack(settings: BrokerSettings, *, closed: bool) -> Trouble:
    """TCP (and TLS) are there, MQTT isn't: a firewall, a plug-in of the broker, another program."""
    if closed:
        return Trouble(
            Kind.PROTOCOL,
            f"{settings.address} closes the connection without an answer to CONNECT: not MQTT, "
            "another version of it, or a rule of the broker against this client",
        )
    return Trouble(Kind.TIMEOUT, f"{settings.address} answers on TCP, but not with MQTT")
