"""Installing: nothing is written before everything was verified, and then all of it or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge.archive import pack, unpack
from edge.bundle import BACKBONE_FILE, GOLDEN_FILE, MANIFEST_FILE, open_bundle
from edge.bundle_store import (
    SIGNATURE_FILE,
    VERSIONS,
    current_name,
    current_version,
    write_version,
)
from edge.bundle_versions import list_versions, roll_back
from edge.errors import BundleError, EarpatchError, RuntimeUnavailableError
from edge.golden_file import encode_golden
from edge.install import install, pack_bundle, verify_archive
from edge.signing import SigningError, make_keys, sign
from edge.trial import Trial
from tests.edge.made import Files, files_of, id_of, moved, tiny, with_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Site


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A private key, and a folder with its public key."""
    folder = tmp_path_factory.mktemp("keys")
    return make_keys(folder)[0], folder


@pytest.fixture
def bundle(site: Site, tmp_path: Path) -> Path:
    """A bundle with one version."""
    write_version(tmp_path / "bundle", "v1", files_of(site))
    return tmp_path / "bundle"


def archived(tmp_path: Path, files: Files, key: Path | None = None) -> Path:
    """An archive, signed where a key is given."""
    if key is not None:
        files = {**files, SIGNATURE_FILE: sign(files[MANIFEST_FILE], key)}
    path = tmp_path / "x.earpatch"
    path.write_bytes(pack(files))
    return path


def test_a_signed_archive_becomes_the_next_version_on_trial(
    site: Site, tmp_path: Path, bundle: Path, keys: tuple[Path, Path]
) -> None:
    private, trust = keys
    files = files_of(site, "elsewhere")
    done = install(archived(tmp_path, files, private), bundle, trust)
    assert done.bundle_id == id_of(files)
    assert done.key == f"{private.stem}.pub"
    assert done.golden.verdict == "equal"
    assert current_name(bundle) == done.name
    assert open_bundle(bundle).manifest.created_by == "elsewhere"
    assert Trial(bundle).state == "on trial"
    assert [(v.name, v.state, v.signed) for v in list_versions(bundle)] == [
        (done.name, "on trial", True),
        ("v1", "previous", False),
    ]


def test_where_there_was_no_bundle_there_is_one(
    site: Site, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    path = archived(tmp_path, files_of(site), keys[0])
    install(path, tmp_path / "new" / "bundle", keys[1])
    assert open_bundle(tmp_path / "new" / "bundle").manifest == site.open().manifest


def test_what_was_packed_on_one_node_is_installed_on_another(
    site: Site, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    assert pack_bundle(site.bundle_path, tmp_path / "a", keys[0]) == id_of(files_of(site))
    install(tmp_path / "a", tmp_path / "bundle", keys[1])
    assert open_bundle(tmp_path / "bundle").manifest == site.open().manifest


def test_a_bundle_packed_twice_is_the_same_file(
    site: Site, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    pack_bundle(site.bundle_path, tmp_path / "a", keys[0])
    pack_bundle(site.bundle_path, tmp_path / "b", keys[0])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_version_that_came_signed_is_packed_with_its_signature(
    site: Site, tmp_path: Path, bundle: Path, keys: tuple[Path, Path]
) -> None:
    path = archived(tmp_path, files_of(site, "elsewhere"), keys[0])
    install(path, bundle, keys[1])
    pack_bundle(bundle, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_damaged_bundle_is_not_packed(tmp_path: Path, bundle: Path) -> None:
    (current_version(bundle) / BACKBONE_FILE).write_bytes(b"worn out")
    with pytest.raises(BundleError, match="does not match the manifest"):
        pack_bundle(bundle, tmp_path / "x.earpatch")
    assert not (tmp_path / "x.earpatch").exists()


def test_an_unsigned_archive_is_refused_unless_allowed(
    site: Site, tmp_path: Path, bundle: Path, keys: tuple[Path, Path]
) -> None:
    path = archived(tmp_path, files_of(site, "elsewhere"))
    with pytest.raises(SigningError, match=r"x\.earpatch: not signed\. .*--allow-unsigned"):
        install(path, bundle, keys[1])
    assert current_name(bundle) == "v1"
    assert install(path, bundle, None).key is None


def other_golden(site: Site) -> Files:
    golden = encode_golden(moved(site.open(), steps=30, share=0.5).golden)
    return with_manifest({**files_of(site), GOLDEN_FILE: golden})


def with_file(name: str, data: bytes) -> Callable[[Site], Files]:
    return lambda site: {**files_of(site, "elsewhere"), name: data}


REFUSED: dict[str, tuple[Callable[[Site], Files], type[EarpatchError], str]] = {
    "another backbone": (with_file(BACKBONE_FILE, b"x"), BundleError, "does not match the man"),
    "other golden windows": (with_file(GOLDEN_FILE, b"x"), BundleError, "does not match the man"),
    "another manifest": (with_file(MANIFEST_FILE, b"{}"), BundleError, "not a bundle's manifest"),
    "no model": (lambda site: tiny(site, "x"), RuntimeUnavailableError, "could load the model"),
    "golden windows that differ": (other_golden, BundleError, "golden windows: different"),
    "golden windows that are none": (
        lambda site: with_manifest({**files_of(site), GOLDEN_FILE: b"x" * 99}),
        BundleError, "golden.bin: not a file of golden windows",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "error", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_signed_and_makes_no_sense_is_refused_before_anything_is_written(
    site: Site,
    tmp_path: Path,
    bundle: Path,
    keys: tuple[Path, Path],
    make: Callable[[Site], Files],
    error: type[EarpatchError],
    reason: str,
) -> None:
    before = sorted(str(path) for path in bundle.rglob("*"))
    with pytest.raises(error, match=reason) as refused:
        install(archived(tmp_path, make(site), keys[0]), bundle, keys[1])
    assert "\n" not in str(refused.value)
    assert sorted(str(path) for path in bundle.rglob("*")) == before
    assert open_bundle(bundle).manifest == site.open().manifest


def test_the_signature_of_another_bundle_is_refused(
    site: Site, tmp_path: Path, bundle: Path, keys: tuple[Path, Path]
) -> None:
    files = {**files_of(site, "evil"), SIGNATURE_FILE: sign(files_of(site)[MANIFEST_FILE], keys[0])}
    with pytest.raises(SigningError, match="the signature is not of this bundle"):
        install(archived(tmp_path, files), bundle, keys[1])


def test_the_bundle_that_is_current_is_not_installed_again(
    site: Site, tmp_path: Path, bundle: Path, keys: tuple[Path, Path]
) -> None:
    path = archived(tmp_path, files_of(site), keys[0])
    with pytest.raises(BundleError, match="is the current one"):
        install(path, bundle, keys[1])
    (current_version(bundle) / BACKBONE_FILE).write_bytes(b"worn out")
    install(path, bundle, keys[1])  # but a damaged one is replaced by itself
    assert open_bundle(bundle).manifest == site.open().manifest


def test_a_bundle_that_failed_may_be_tried_again(
    site: Site, tmp_path: Path, bundle: Path, keys: tuple[Path, Path]
) -> None:
    """At once too, within the second that names it."""
    path = archived(tmp_path, files_of(site, "elsewhere"), keys[0])
    first = install(path, bundle, keys[1])
    Trial(bundle).fail("no microphone")
    second = install(path, bundle, keys[1])
    assert first.name != second.name
    assert Trial(bundle).state == "on trial"
    assert roll_back(bundle) == "v1"


def test_verifying_writes_nothing_and_runs_nothing(
    site: Site, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    """A model that no runtime could load is verified all the same."""
    path = archived(tmp_path, tiny(site, "x"), keys[0])
    verified = verify_archive(path.read_bytes(), path, keys[1])
    assert verified.files == unpack(path.read_bytes())
    assert verified.key == f"{keys[0].stem}.pub"


def test_a_target_that_is_something_else_is_left_alone(
    site: Site, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    path = archived(tmp_path, files_of(site), keys[0])
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").touch()
    with pytest.raises(BundleError, match="holds other files"):
        install(path, tmp_path / "photos", keys[1])
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["holiday.jpg"]


def test_an_installed_version_holds_the_known_files_and_nothing_else(
    site: Site, tmp_path: Path, bundle: Path, keys: tuple[Path, Path]
) -> None:
    files = files_of(site, "elsewhere")
    done = install(archived(tmp_path, files, keys[0]), bundle, keys[1])
    written = {p.name: p.read_bytes() for p in (bundle / VERSIONS / done.name).iterdir()}
    assert {n: d for n, d in written.items() if n != SIGNATURE_FILE} == files
