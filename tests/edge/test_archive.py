"""Archives: byte for byte what `pack` makes, or refused; whatever tar could be made to do."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.archive import BLOCK, MAX_ARCHIVE_BYTES, MEMBERS, pack, read_archive, unpack
from edge.bundle_store import FILES, SIGNATURE_FILE
from edge.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Change = Callable[[tarfile.TarInfo, int], object]

Files = dict[str, bytes]
PLAIN: Files = {name: name.encode() * 40 for name in FILES}
SIGNED: Files = {**PLAIN, SIGNATURE_FILE: b"{}"}
CONTENT = st.fixed_dictionaries(
    {name: st.binary(max_size=1_500) for name in FILES},
    optional={SIGNATURE_FILE: st.binary(max_size=300)},
)


@given(CONTENT)
def test_what_is_packed_is_unpacked(files: Files) -> None:
    assert unpack(pack(files)) == files


@given(CONTENT)
def test_any_tar_can_read_it(files: Files) -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(files))) as archive:
        members = archive.getmembers()
        assert [m.name for m in members] == [name for name in MEMBERS if name in files]
        assert all(m.isreg() and (m.mode, m.uid, m.gid, m.mtime) == (0o644, 0, 0, 0)
                   for m in members)  # fmt: skip
        for member in members:
            extracted = archive.extractfile(member)
            assert extracted is not None
            assert extracted.read() == files[member.name]


def test_the_same_files_are_the_same_archive_in_whatever_order_they_come() -> None:
    assert pack(dict(reversed(SIGNED.items()))) == pack(SIGNED)


@settings(max_examples=400)
@given(files=CONTENT, place=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_a_changed_byte_outside_the_content_is_refused(
    files: Files, place: float, mask: int
) -> None:
    """Inside, the digests find it."""
    archive = bytearray(pack(files))
    archive[int(place * len(archive))] ^= mask
    try:
        found = unpack(bytes(archive))
    except BundleError:
        return
    assert found != files
    assert {n: len(data) for n, data in found.items()} == {n: len(d) for n, d in files.items()}


@given(files=CONTENT, share=st.floats(0, 1, exclude_max=True))
def test_an_archive_that_ends_early_is_refused(files: Files, share: float) -> None:
    archive = pack(files)
    with pytest.raises(BundleError, match="not a whole earpatch archive"):
        unpack(archive[: int(share * len(archive))])


@given(files=CONTENT, more=st.binary(min_size=1, max_size=BLOCK))
def test_an_archive_that_goes_on_is_refused(files: Files, more: bytes) -> None:
    with pytest.raises(BundleError, match="does not end where it should"):
        unpack(pack(files) + more)


@settings(max_examples=300)
@given(st.binary(max_size=3 * BLOCK))
def test_bytes_that_are_something_else_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        unpack(data)


def as_tar(change: Change, kind: int = tarfile.USTAR_FORMAT) -> bytes:
    """What the library makes of the same files, each head changed."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=kind) as archive:
        for number, name in enumerate(MEMBERS[1:]):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(PLAIN[name]), 0o644
            change(info, number)
            body = io.BytesIO(PLAIN[name]) if info.isreg() else None
            info.size = info.size if info.isreg() else 0
            archive.addfile(info, body)
    return raw.getvalue()


def named(name: str) -> Change:
    return lambda info, number: setattr(info, "name", name) if number == 1 else None


def typed(kind: bytes, target: str = "") -> Change:
    def change(info: tarfile.TarInfo, number: int) -> None:
        if number == 1:
            info.type, info.linkname = kind, target

    return change


HOSTILE: dict[str, bytes] = {
    "a path upwards": as_tar(named("../backbone.tflite")),
    "an absolute path": as_tar(named("/etc/passwd")),
    "a folder before the name": as_tar(named("./backbone.tflite")),
    "an unknown name": as_tar(named("run.sh")),
    "a name twice": as_tar(named("manifest.json")),
    "a symbolic link": as_tar(typed(tarfile.SYMTYPE, "/etc/passwd")),
    "a hard link": as_tar(typed(tarfile.LNKTYPE, "manifest.json")),
    "a device": as_tar(typed(tarfile.CHRTYPE)),
    "a pipe": as_tar(typed(tarfile.FIFOTYPE)),
    "a folder": as_tar(typed(tarfile.DIRTYPE)),
    "a contiguous file": as_tar(typed(tarfile.CONTTYPE)),
    "a setuid file": as_tar(lambda info, _: setattr(info, "mode", 0o4755)),
    "an owner": as_tar(lambda info, _: setattr(info, "uname", "root")),
    "extended heads": as_tar(
        lambda info, _: setattr(info, "pax_headers", {"path": "x"}), tarfile.PAX_FORMAT
    ),
    "GNU heads": as_tar(lambda *_: None, tarfile.GNU_FORMAT),
    "gzip": b"\x1f\x8b" + bytes(600),
}


@pytest.mark.parametrize("archive", HOSTILE.values(), ids=HOSTILE)
def test_whatever_else_tar_can_hold_is_refused(archive: bytes) -> None:
    with pytest.raises(BundleError):
        unpack(archive)


@pytest.mark.parametrize("digits", [b"77777777777\0", b"99999999999\0", b"-0000000001\0", bytes(12),
                                    b"\x80" + b"\xff" * 11])  # fmt: skip
def test_a_length_that_lies_is_refused(digits: bytes) -> None:
    archive = bytearray(pack(PLAIN))
    archive[124:136] = digits
    with pytest.raises(BundleError, match=r"manifest\.json is not where it belongs"):
        unpack(bytes(archive))


def test_more_than_an_archive_may_hold_is_not_packed() -> None:
    with pytest.raises(BundleError, match="more than an archive may have"):
        pack({**PLAIN, "bank.tflite": bytes(MAX_ARCHIVE_BYTES)})


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, MAX_ARCHIVE_BYTES + 1)


NO_ARCHIVES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda _: None, "No such file"),
    "a folder": (lambda path: path.mkdir(), "can't be read|not a file"),
    "a pipe": (os.mkfifo, "not a file"),
    "huge": (huge, "larger than"),
}


@pytest.mark.parametrize(("make", "reason"), NO_ARCHIVES.values(), ids=NO_ARCHIVES)
def test_what_is_no_archive_at_all_is_named(
    tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    make(tmp_path / "x.earpatch")
    with pytest.raises(BundleError, match=f"x.earpatch: .*({reason})"):
        read_archive(tmp_path / "x.earpatch")
