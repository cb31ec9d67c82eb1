"""A bundle is used only when every byte is what calibration wrote."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bundle import (
    BACKBONE_FILE,
    BANK_FILE,
    GOLDEN_FILE,
    MANIFEST_FILE,
    MAX_FILE_BYTES,
    digest,
    open_bundle,
    read_manifest,
)
from edge.bundle_store import FILES, current_version
from edge.errors import BundleError
from edge.frontend import FrontEnd
from edge.runtime import KernelName, RuntimeName
from tests.conftest import INSTALLED_RUNTIMES, Site
from tests.edge.signed import sign

replace = msgspec.structs.replace


@pytest.fixture
def copied(site: Site, tmp_path: Path) -> Path:
    """The files of a bundle, alone in a folder, which a test may damage."""
    return shutil.copytree(current_version(site.bundle_path), tmp_path / "copied")


def edit(folder: Path, *keys: str, value: object) -> None:
    """Change one value of the manifest and leave its id as it is."""
    path = folder / MANIFEST_FILE
    content: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    *parents, last = keys
    section = content
    for key in parents:
        section = section[key]
    section[last] = value
    path.write_bytes(msgspec.json.encode(content))


@pytest.mark.parametrize("runtime", INSTALLED_RUNTIMES)
def test_both_runtimes_open_it(site: Site, runtime: RuntimeName) -> None:
    bundle = open_bundle(site.bundle_path, runtime=runtime)
    assert bundle.backbone.runtime.name == runtime
    assert bundle.bank.size == bundle.manifest.bank.rows


def test_a_folder_with_the_plain_files_is_a_bundle(site: Site, copied: Path) -> None:
    assert open_bundle(copied).manifest == site.open().manifest


def test_a_copy_with_all_versions_is_a_bundle(site: Site, tmp_path: Path) -> None:
    assert open_bundle(site.copy_bundle(tmp_path / "copy")).manifest == site.open().manifest


def test_a_copy_whose_links_became_files_is_a_bundle(site: Site, tmp_path: Path) -> None:
    """`scp -r` and FAT sticks turn links into what they point to."""
    copy = shutil.copytree(site.bundle_path, tmp_path / "copy", symlinks=False)
    assert open_bundle(copy).manifest == site.open().manifest


def empty(path: Path) -> None:
    path.write_bytes(b"")


def fill_with_nul(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_huge(path: Path) -> None:
    os.truncate(path, MAX_FILE_BYTES + 1)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (Path.unlink, "missing"),
        (empty, r"the file is empty \(0 bytes\)"),
        (fill_with_nul, ""),
        (make_a_folder, ""),
        (make_huge, f"{MAX_FILE_BYTES + 1} bytes are more than"),
    ],
    ids=["missing", "empty", "NUL bytes", "a folder", "huge"],
)
def test_a_file_that_is_not_what_was_written_is_named(
    copied: Path, name: str, damage: Callable[[Path], None], reason: str
) -> None:
    """I09, I23: what a power cut, a full card or a wrong copy leaves of a file."""
    damage(copied / name)
    with pytest.raises(BundleError, match=f"{name}: {reason}"):
        open_bundle(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_card_that_can_not_be_read_is_named(
    copied: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path.name == name:
            raise OSError(errno.EIO, "Input/output error")
        return plain(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(BundleError, match=f"{name}.*Input/output error"):
        open_bundle(copied)


@pytest.mark.parametrize("name", [BACKBONE_FILE, BANK_FILE])
@pytest.mark.parametrize("share", [0.0, 0.37, 0.99])
def test_one_changed_byte_is_named(copied: Path, name: str, share: float) -> None:
    data = bytearray((copied / name).read_bytes())
    data[int(share * len(data))] ^= 1
    (copied / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"{name}: does not match the manifest"):
        open_bundle(copied)


@given(share=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
@settings(max_examples=400, deadline=None)
def test_a_changed_byte_in_the_manifest_is_refused_or_means_nothing(
    tmp_path_factory: pytest.TempPathFactory, site: Site, share: float, mask: int
) -> None:
    good = (current_version(site.bundle_path) / MANIFEST_FILE).read_bytes()
    damaged = bytearray(good)
    damaged[int(share * len(good))] ^= mask
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST_FILE).write_bytes(damaged)
    try:
        manifest = read_manifest(folder)
    except BundleError as error:
        assert MANIFEST_FILE in str(error)  # noqa: PT017  (white space may change unnoticed)
    else:
        assert manifest == site.open().manifest


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("thresholds", "release"), 0.7),
        (("front_end", "gain_db"), 12.5),
        (("created_utc",), "2020-01-01T00:00:00+00:00"),
        (("bundle_id",), "0123456789abcdef"),
        (("previous_id",), "0123456789abcdef"),
    ],
    ids=lambda keys: ".".join(keys) if isinstance(keys, tuple) else "",
)
def test_a_changed_value_under_the_old_id_is_refused(
    copied: Path, keys: tuple[str, ...], value: object
) -> None:
    edit(copied, *keys, value=value)
    with pytest.raises(BundleError, match=f"{MANIFEST_FILE}: changed since it was written"):
        open_bundle(copied)


@pytest.mark.parametrize("keys", [("colour",), ("thresholds", "colour"), ("front_end", "colour")])
def test_an_unknown_key_is_refused(copied: Path, keys: tuple[str, ...]) -> None:
    edit(copied, *keys, value="blue")
    with pytest.raises(BundleError, match=r"not a bundle's manifest .*unknown field `colour`"):
        open_bundle(copied)


@pytest.mark.parametrize("name", ["earpatch-bundle-9", "", 3])
def test_another_format_is_refused(copied: Path, name: object) -> None:
    edit(copied, "format", value=name)
    with pytest.raises(BundleError, match="not a bundle's manifest"):
        open_bundle(copied)


@pytest.mark.parametrize("name", ["earpatch-bundle-1", "earpatch-bundle-2"])
def test_an_earlier_format_is_told_to_be_learnt_anew(copied: Path, name: str) -> None:
    edit(copied, "format", value=name)
    with pytest.raises(BundleError, match=r"earlier version of earpatch.*'earpatch calibrate'"):
        open_bundle(copied)


@pytest.mark.parametrize("content", [b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_json_that_is_no_manifest_is_refused(copied: Path, content: bytes) -> None:
    (copied / MANIFEST_FILE).write_bytes(content)
    with pytest.raises(BundleError, match=f"{MANIFEST_FILE}: not a bundle's manifest"):
        open_bundle(copied)


BACKBONE_CHANGES: dict[str, dict[str, Any]] = {
    "another dimension": {"dimension": 47},
    "other mel bands": {"mel_bands": 64},
    "rows that don't divide the bands": {"grid_rows": 17},
    "no rows": {"grid_rows": 0},
    "no columns": {"grid_columns": 0},
    "columns that don't divide the window": {"grid_columns": 11},
    "nothing but context": {"context_columns": 6},
    "negative context": {"context_columns": -1},
    "another window": {"window_frames": 192},
}


@pytest.mark.parametrize("change", BACKBONE_CHANGES.values(), ids=BACKBONE_CHANGES)
def test_shapes_that_do_not_fit_together_are_refused(copied: Path, change: dict[str, Any]) -> None:
    manifest = read_manifest(copied)
    sign(copied, replace(manifest, backbone=replace(manifest.backbone, **change)))
    with pytest.raises(BundleError):
        open_bundle(copied)


@pytest.mark.parametrize("rows", [0, -1, 17])
def test_a_number_of_rows_that_the_map_does_not_have_is_refused(copied: Path, rows: int) -> None:
    sign(copied, replace(read_manifest(copied), rows=rows))
    with pytest.raises(BundleError, match="inconsistent in rows"):
        open_bundle(copied)


FRONT_END_CHANGES: dict[str, FrontEnd] = {
    "no rate": FrontEnd(sample_rate_hz=0),
    "no hop": FrontEnd(hop_length=0),
    "a frame longer than the transform": FrontEnd(fft_size=512),
    "an empty range of frequencies": FrontEnd(low_hz=15_000.0),
    "no unit of the logarithm": FrontEnd(log_scale=0.0),
}


@pytest.mark.parametrize("front_end", FRONT_END_CHANGES.values(), ids=FRONT_END_CHANGES)
def test_a_front_end_that_can_not_work_is_refused(copied: Path, front_end: FrontEnd) -> None:
    sign(copied, replace(read_manifest(copied), front_end=front_end))
    with pytest.raises(BundleError, match="front_end"):
        open_bundle(copied)


@pytest.mark.parametrize("field", ["backbone_input", "backbone_output"])
def test_another_quantisation_than_the_models_is_refused(copied: Path, field: str) -> None:
    manifest = read_manifest(copied)
    changed = replace(getattr(manifest, field), scale=0.5)
    sign(copied, replace(manifest, **{field: changed}))
    with pytest.raises(BundleError, match="quantisation"):
        open_bundle(copied)


def test_a_bank_of_another_size_than_the_manifest_says_is_refused(copied: Path) -> None:
    manifest = read_manifest(copied)
    bank = replace(
        manifest.bank,
        rows=manifest.bank.rows + 1,
        origin_recording=[*manifest.bank.origin_recording, 0],
        origin_s=[*manifest.bank.origin_s, 0.0],
    )
    sign(copied, replace(manifest, bank=bank))
    with pytest.raises(BundleError, match="the bank is"):
        open_bundle(copied)


def test_a_backbone_in_place_of_the_bank_is_refused(copied: Path) -> None:
    model = (copied / BACKBONE_FILE).read_bytes()
    (copied / BANK_FILE).write_bytes(model)
    manifest = read_manifest(copied)
    sign(copied, replace(manifest, files={**manifest.files, BANK_FILE: digest(model)}))
    with pytest.raises(BundleError, match="bank"):
        open_bundle(copied)


def test_a_manifest_with_the_digest_of_another_file_is_refused(copied: Path) -> None:
    manifest = read_manifest(copied)
    sign(copied, replace(manifest, files={**manifest.files, "../x": digest(b"")}))
    with pytest.raises(BundleError, match="inconsistent in files"):
        open_bundle(copied)


@pytest.mark.parametrize("runtime", INSTALLED_RUNTIMES)
@pytest.mark.parametrize("kernels", ["optimised", "reference"])
def test_a_bundle_runs_with_the_kernels_that_its_thresholds_were_made_with(
    copied: Path, runtime: RuntimeName, kernels: KernelName
) -> None:
    """H15: another choice of kernels would be another model."""
    manifest = read_manifest(copied)
    sign(copied, replace(manifest, runtime=replace(manifest.runtime, kernels=kernels)))
    assert open_bundle(copied, runtime=runtime).backbone.runtime.kernels == kernels


def test_a_manifest_without_the_digest_of_a_file_is_refused(copied: Path) -> None:
    manifest = read_manifest(copied)
    files = {name: manifest.files[name] for name in (BANK_FILE, GOLDEN_FILE)}
    sign(copied, replace(manifest, files=files))
    with pytest.raises(BundleError, match="inconsistent in files"):
        open_bundle(copied)


def test_the_id_follows_from_the_content_alone(site: Site) -> None:
    manifest = site.open().manifest
    assert replace(manifest, bundle_id="anything").with_id() == manifest
    assert replace(manifest, created_by="x").with_id().bundle_id != manifest.bundle_id
