"""Signatures of bundles: Ed25519 (RFC 8032) over the manifest, which holds all other digests.

A node trusts the public keys in a folder, `/etc/earpatch/keys` unless told; to take one away is to
delete its file. The `cryptography` package is imported only when a key is made or used: it comes
with the extra `signing`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from edge.errors import EarpatchError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PublicKey,
    )

DEFAULT_TRUST = Path("/etc/earpatch/keys")
PRIVATE_NAME, PUBLIC_NAME = "earpatch-{}.key", "earpatch-{}.pub"
CONTEXT = b"earpatch bundle manifest 1\n"  # so that the signature is good for nothing else
KEY_ID_LENGTH = 16
MAX_KEY_BYTES = 16_384
WRITABLE_BY_OTHERS = stat.S_IWOTH


class SigningError(EarpatchError):
    """A key can't be made or used, or a signature is not good."""


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`signature.json`."""

    format: Literal["earpatch-signature-1"]
    key_id: str
    ed25519: str  # hexadecimal


@dataclass(frozen=True)
class TrustedKey:
    """A public key, and the file that it comes from."""

    key: Ed25519PublicKey
    key_id: str
    path: Path


def make_keys(folder: Path) -> tuple[Path, Path]:
    """Make a new pair: a private key, readable by its owner only, and a public key.

    Raises:
        SigningError: `cryptography` is missing, or the folder can't be written.
    """
    _require_cryptography()
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    private = ed25519.Ed25519PrivateKey.generate()
    key_id = _key_id(private.public_key())
    secret = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = private.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    )
    paths = folder / PRIVATE_NAME.format(key_id), folder / PUBLIC_NAME.format(key_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data, mode in zip(paths, (secret, public), (0o600, 0o644), strict=True):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
    except OSError as error:
        raise SigningError(f"{folder}: can't keep a key ({error.strerror or error})") from None
    return paths


def sign(manifest: bytes, key_file: Path) -> bytes:
    """`signature.json` for a manifest.

    Raises:
        SigningError: not a private key, or `cryptography` is missing.
    """
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(_read(key_file), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SigningError(
            f"{key_file}: not a private key without a password, as 'earpatch keys' makes it"
        ) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise SigningError(f"{key_file}: not an Ed25519 key")
    made = Signature(
        "earpatch-signature-1", _key_id(key.public_key()), key.sign(CONTEXT + manifest).hex()
    )
    return msgspec.json.encode(made) + b"\n"


def verify(manifest: bytes, signature: bytes, trust: Path) -> TrustedKey:
    """The trusted key that signed a manifest.

    Raises:
        SigningError: the signature is damaged, by an unknown key, or not of this manifest; or the
            folder of trusted keys can't be used.
    """
    _require_cryptography()
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    try:
        found = msgspec.json.decode(signature, type=Signature)
        raw = bytes.fromhex(found.ed25519)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        raise SigningError("the signature is damaged") from None
    trusted = {each.key_id: each for each in trusted_keys(trust)}
    if (signer := trusted.get(found.key_id)) is None:
        raise SigningError(
            f"signed with the key {found.key_id!r:.24}, which is none of the {len(trusted)} in "
            f"{trust}; copy its .pub file there if you trust it"
        )
    try:
        signer.key.verify(raw, CONTEXT + manifest)
    except InvalidSignature:
        raise SigningError(
            f"the signature is not of this bundle, or not by {signer.path.name}"
        ) from None
    return signer


def trusted_keys(folder: Path) -> list[TrustedKey]:
    """The public keys in a folder: its `*.pub` files.

    Raises:
        SigningError: no folder, a file that is no key, or one that anybody may write.
    """
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".pub")
        for path in (folder, *paths):
            if path.stat().st_mode & WRITABLE_BY_OTHERS:
                raise SigningError(f"{path}: anybody may write it, so it proves nothing; chmod o-w")
    except OSError as error:
        raise SigningError(
            f"{folder}: no trusted keys there ({error.strerror or error}). Put the .pub file of "
            "'earpatch keys' into it"
        ) from None
    keys = []
    for path in paths:
        try:
            key = load_pem_public_key(_read(path))
        except (ValueError, UnsupportedAlgorithm):
            raise SigningError(f"{path}: not a public key") from None
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise SigningError(f"{path}: not an Ed25519 key")
        keys.append(TrustedKey(key, _key_id(key), path))
    return keys


def _key_id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:KEY_ID_LENGTH]


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise SigningError(f"{path}: can't be read ({error.strerror or error})") from None


def _require_cryptography() -> None:
    try:
        import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401, PLC0415
    except ImportError:
        raise SigningError(
            "signatures need the package 'cryptography': pip install 'earpatch[signing]'"
        ) from None
