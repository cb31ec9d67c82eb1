"""What proves to a broker who this is, and to this who the broker is: passwords, certificates.

A password comes from a file, or from systemd's `LoadCredential=mqtt-password:...`; never from a
command line or the environment, where others can read it. It is read anew at every connection, so
it can be changed while the node runs, and it is kept nowhere.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import SettingsError

if TYPE_CHECKING:
    from edge.delivery.settings import BrokerSettings

CREDENTIAL = "mqtt-password"
MAX_PASSWORD_BYTES = 65_535  # MQTT's own bound


def password(settings: BrokerSettings) -> str | None:
    """The password; None if there is no user name, or none that needs one.

    Raises:
        SettingsError: its file can't be read, or doesn't hold one line.
    """
    if settings.username is None:
        return None
    path, key = settings.password_file, "mqtt.password_file"
    handed = path is None
    if path is None:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if folder is None or not (found := Path(folder, CREDENTIAL)).is_file():
            return None
        path, key = str(found), f"the credential {CREDENTIAL}"
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{key} {path}: can't be read ({error.strerror})") from None
    except ValueError:
        raise SettingsError(f"{key} {path}: not UTF-8 text") from None
    if handed and not text.strip():  # the unit's stand-in for a file that isn't there
        return None
    line = text.rstrip("\r\n")
    if not line or len(line.splitlines()) != 1 or len(line.encode()) > MAX_PASSWORD_BYTES:
        raise SettingsError(f"{key} {path}: not one line with a password")
    return line


def tls_context(settings: BrokerSettings) -> ssl.SSLContext:
    """What TLS needs. Host names are always checked.

    Raises:
        SettingsError: a certificate or key can't be read or isn't one.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"mqtt.ca_file {settings.ca_file}: {_reason(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.cert_file is None:
        return context
    try:
        # A key that asks for a passphrase would wait at a terminal for ever.
        context.load_cert_chain(settings.cert_file, settings.key_file, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        both = " and mqtt.key_file ".join(filter(None, (settings.cert_file, settings.key_file)))
        raise SettingsError(f"mqtt.cert_file {both}: {_reason(error)}") from None
    return context


def check_files(settings: BrokerSettings) -> None:
    """Read what a connection will need.

    Raises:
        SettingsError: something can't be read or isn't what it should be.
    """
    password(settings)
    if settings.address.tls:
        tls_context(settings)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        words = (error.reason or str(error)).replace("_", " ").lower()
        return f"not what it should be ({words})"
    return f"can't be read ({error.strerror})"
