"""A certificate authority of our own, made by openssl, and certificates with any dates."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

OPENSSL_S = 60.0
CONFIG = """\
[ca]
default_ca = own
[own]
dir = {folder}
database = $dir/index.txt
new_certs_dir = $dir
serial = $dir/serial
private_key = $dir/ca.key
certificate = $dir/ca.pem
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
"""
NOW = ("20200101000000Z", "20990101000000Z")
LATER = ("20980101000000Z", "20990101000000Z")
EARLIER = ("20190101000000Z", "20200101000000Z")


class Authority:
    """Signs certificates in its folder."""

    def __init__(self, folder: Path, name: str = "earpatch test CA") -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "openssl.cnf").write_text(CONFIG.format(folder=folder))
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01\n")
        self.certificate = folder / "ca.pem"
        self._run(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "36500", "-subj", f"/CN={name}", "-extensions", "authority",
            "-keyout", str(folder / "ca.key"), "-out", str(self.certificate),
        )  # fmt: skip

    def sign(
        self, name: str, dates: tuple[str, str] = NOW, host: str = "IP:127.0.0.1,DNS:localhost"
    ) -> tuple[Path, Path]:
        """A certificate and its key."""
        key, request, certificate = (
            self._folder / f"{name}{suffix}" for suffix in (".key", ".csr", ".pem")
        )
        self._run(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", f"/CN={name}", "-addext", f"subjectAltName={host}",
            "-keyout", str(key), "-out", str(request),
        )  # fmt: skip
        self._run(
            "ca", "-batch", "-notext", "-startdate", dates[0], "-enddate", dates[1],
            "-in", str(request), "-out", str(certificate),
        )  # fmt: skip
        return certificate, key

    def _run(self, command: str, *arguments: str) -> None:
        program = shutil.which("openssl")
        if program is None:
            pytest.skip("openssl is not installed")
        config = ["-config", str(self._folder / "openssl.cnf")]
        done = subprocess.run(
            [program, command, *config, *arguments],
            capture_output=True, text=True, timeout=OPENSSL_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
