"""Signatures: by a trusted key and of these bytes, or refused with what to do."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.signing import SigningError, make_keys, sign, trusted_keys, verify

MANIFEST = b'{"format": "earpatch-bundle-3"}'


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A private key, and the folder with its public key alone."""
    private, public = make_keys(tmp_path / "made")
    trust = tmp_path / "trust"
    trust.mkdir()
    public.rename(trust / public.name)
    return private, trust


def test_what_was_signed_with_a_trusted_key_is_verified(pair: tuple[Path, Path]) -> None:
    private, trust = pair
    signer = verify(MANIFEST, sign(MANIFEST, private), trust)
    assert signer.path.parent == trust
    assert signer.key_id in private.name


def test_the_same_bytes_and_key_give_the_same_signature(pair: tuple[Path, Path]) -> None:
    assert sign(MANIFEST, pair[0]) == sign(MANIFEST, pair[0])


def test_the_private_key_is_for_its_owner_alone(pair: tuple[Path, Path]) -> None:
    assert stat.S_IMODE(pair[0].stat().st_mode) == 0o600


def test_keys_are_never_written_over(tmp_path: Path) -> None:
    made = {path for _ in range(3) for path in make_keys(tmp_path)}
    assert len(made) == 6


@settings(max_examples=50)
@given(share=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_a_changed_byte_of_what_was_signed_is_refused(
    tmp_path_factory: pytest.TempPathFactory, share: float, mask: int
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    private, _ = make_keys(folder)
    changed = bytearray(MANIFEST)
    changed[int(share * len(changed))] ^= mask
    with pytest.raises(SigningError, match="not of this bundle"):
        verify(bytes(changed), sign(MANIFEST, private), folder)


@settings(max_examples=300)
@given(share=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_a_changed_byte_of_the_signature_is_refused_or_means_nothing(
    tmp_path_factory: pytest.TempPathFactory, share: float, mask: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "same-keys"
    private = next(folder.glob("*.key")) if folder.exists() else make_keys(folder)[0]
    good = sign(MANIFEST, private)
    changed = bytearray(good)
    changed[int(share * len(changed))] ^= mask
    try:
        verify(MANIFEST, bytes(changed), folder)
    except SigningError:
        return
    assert bytes(changed).lower().split() == good.lower().split()  # a to A in hexadecimal


@pytest.mark.parametrize(
    "signature",
    [b"", b"{}", b"[" * 50_000, b"\xff", msgspec.json.encode({"format": "earpatch-signature-1"})],
)
def test_a_damaged_signature_is_named(pair: tuple[Path, Path], signature: bytes) -> None:
    with pytest.raises(SigningError, match="the signature is damaged"):
        verify(MANIFEST, signature, pair[1])


def test_a_key_that_is_not_trusted_is_named_with_what_to_do(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    stranger, _ = make_keys(tmp_path / "other")
    with pytest.raises(SigningError, match=r"none of the 1 in .*trust; copy its \.pub file there"):
        verify(MANIFEST, sign(MANIFEST, stranger), pair[1])


def test_a_key_under_another_ones_name_proves_nothing(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """The id in a signature only says which key to try."""
    private, trust = pair
    stranger, _ = make_keys(tmp_path / "other")
    forged = msgspec.json.decode(sign(MANIFEST, stranger))
    forged["key_id"] = msgspec.json.decode(sign(MANIFEST, private))["key_id"]
    with pytest.raises(SigningError, match="not of this bundle"):
        verify(MANIFEST, msgspec.json.encode(forged), trust)


def test_to_take_a_key_away_is_to_delete_its_file(pair: tuple[Path, Path]) -> None:
    private, trust = pair
    next(trust.glob("*.pub")).unlink()
    with pytest.raises(SigningError, match="none of the 0 in"):
        verify(MANIFEST, sign(MANIFEST, private), trust)


def test_no_folder_of_keys_is_named_with_what_to_do(pair: tuple[Path, Path]) -> None:
    with pytest.raises(SigningError, match=r"no trusted keys there .*'earpatch keys'"):
        verify(MANIFEST, sign(MANIFEST, pair[0]), Path("/nowhere"))


@pytest.mark.parametrize("what", ["folder", "key"])
def test_keys_that_anybody_may_write_prove_nothing(pair: tuple[Path, Path], what: str) -> None:
    path = pair[1] if what == "folder" else next(pair[1].glob("*.pub"))
    path.chmod(path.stat().st_mode | stat.S_IWOTH)
    with pytest.raises(SigningError, match="anybody may write it"):
        trusted_keys(pair[1])


def other_kind(private: bool) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    if private:
        return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    return key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("content", [b"", b"ssh-ed25519 AAAA", other_kind(private=False)])
def test_a_public_key_that_is_none_is_named(pair: tuple[Path, Path], content: bytes) -> None:
    (pair[1] / "bad.pub").write_bytes(content)
    with pytest.raises(SigningError, match=r"bad\.pub: not a"):
        trusted_keys(pair[1])


@pytest.mark.parametrize("content", [b"", b"secret", other_kind(private=True)])
def test_a_private_key_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.key").write_bytes(content)
    with pytest.raises(SigningError, match=r"bad\.key: not a"):
        sign(MANIFEST, tmp_path / "bad.key")


def test_without_the_package_it_says_what_to_install(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = sign(MANIFEST, pair[0])
    module = "cryptography.hazmat.primitives.asymmetric.ed25519"
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SigningError, match=r"pip install 'earpatch\[signing\]'"):
        verify(MANIFEST, signature, pair[1])
