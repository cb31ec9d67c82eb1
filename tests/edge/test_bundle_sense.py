"""A manifest whose numbers make no sense is refused, even when it is signed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from edge.bundle import MANIFEST_FILE, BankInfo, open_bundle, read_manifest
from edge.bundle_store import current_version
from edge.errors import BundleError
from edge.scales import RowStatistics
from tests.conftest import Site
from tests.edge.signed import sign

replace = msgspec.structs.replace


@pytest.fixture
def copied(site: Site, tmp_path: Path) -> Path:
    """The files of a bundle, alone in a folder, which a test may damage."""
    return shutil.copytree(current_version(site.bundle_path), tmp_path / "copied")


def rows_of(centre: int = 16, spread: int = 16, value: float = 1.0) -> RowStatistics:
    return RowStatistics([1.0] * centre, [1.0] * (spread - 1) + [value])


SCALE_CHANGES: dict[str, dict[str, Any]] = {
    "an even number of columns": {"columns": 2},
    "no columns": {"columns": -1},
    "a unit of zero": {"unit": 0.0},
    "an infinite unit": {"unit": float("inf")},
    "a spread of zero": {"distance": rows_of(value=0.0)},
    "a negative spread": {"level": rows_of(value=-1.0)},
    "too few rows": {"joint": rows_of(centre=3)},
    "too many rows": {"distance": rows_of(spread=17)},
    "no rows": {"level": RowStatistics([], [])},
}


@pytest.mark.parametrize("scale", ["local", 0, -1])
@pytest.mark.parametrize("change", SCALE_CHANGES.values(), ids=SCALE_CHANGES)
def test_scales_that_make_no_sense_are_refused_even_when_signed(
    copied: Path, change: dict[str, Any], scale: int | Literal["local"]
) -> None:
    """H15: no threshold is better than a wrong one."""
    limits = read_manifest(copied).thresholds
    if scale == "local":
        sign_thresholds(copied, local=replace(limits.local, **change))
    else:
        scales = list(limits.scales)
        scales[scale] = replace(scales[scale], **change)
        sign_thresholds(copied, scales=scales)
    with pytest.raises(BundleError, match=MANIFEST_FILE):
        open_bundle(copied)


@pytest.mark.parametrize("change", [{"columns": 37}, {"against": "recent"}])
def test_a_local_scale_that_is_none_is_refused_even_when_signed(
    copied: Path, change: dict[str, Any]
) -> None:
    """H15: with a long one, nothing would ever be scored."""
    sign_thresholds(copied, local=replace(read_manifest(copied).thresholds.local, **change))
    with pytest.raises(BundleError, match=MANIFEST_FILE):
        open_bundle(copied)


def sign_thresholds(folder: Path, **changes: Any) -> None:
    manifest = read_manifest(folder)
    sign(folder, replace(manifest, thresholds=replace(manifest.thresholds, **changes)))


THRESHOLD_CHANGES: list[dict[str, Any]] = [
    {"scales": []},
    {"release": 0.0},
    {"release": 1.01},
    {"alarm": 0.0},
    {"alarm": float("inf")},
]


@pytest.mark.parametrize("change", THRESHOLD_CHANGES, ids=str)
def test_thresholds_without_a_scale_or_a_level_are_refused(
    copied: Path, change: dict[str, Any]
) -> None:
    sign_thresholds(copied, **change)
    with pytest.raises(BundleError, match=MANIFEST_FILE):
        open_bundle(copied)


def test_thresholds_with_none_but_slow_scales_are_refused(copied: Path) -> None:
    limits = read_manifest(copied).thresholds
    sign_thresholds(copied, scales=[replace(scale, columns=751) for scale in limits.scales])
    with pytest.raises(BundleError, match="inconsistent in scales"):
        open_bundle(copied)


TAIL_CHANGES: dict[str, dict[str, Any]] = {
    "no blocks": {"blocks": 0},
    "blocks of no length": {"block_s": 0.0},
    "nothing above the threshold": {"share_above": 0.0},
    "a tail that ends": {"shape": -0.1},
    "no scale": {"scale": 0.0},
    "one level": {"levels": [1.0]},
    "falling levels": {"levels": [1.0, 0.5]},
}


@pytest.mark.parametrize("change", TAIL_CHANGES.values(), ids=TAIL_CHANGES)
def test_a_tail_that_makes_no_sense_is_refused(copied: Path, change: dict[str, Any]) -> None:
    sign_thresholds(copied, tail=replace(read_manifest(copied).thresholds.tail, **change))
    with pytest.raises(BundleError, match="inconsistent in tail"):
        open_bundle(copied)


@pytest.mark.parametrize(
    "damage",
    [
        lambda bank: replace(bank, origin_recording=bank.origin_recording[1:]),
        lambda bank: replace(bank, origin_s=[*bank.origin_s, 0.0]),
        lambda bank: replace(bank, origin_recording=[6, *bank.origin_recording[1:]]),
        lambda bank: replace(bank, origin_recording=[-1, *bank.origin_recording[1:]]),
    ],
    ids=["too few", "too many", "no such recording", "a negative recording"],
)
def test_origins_that_lead_nowhere_are_refused(
    copied: Path, damage: Callable[[BankInfo], BankInfo]
) -> None:
    manifest = read_manifest(copied)
    sign(copied, replace(manifest, bank=damage(manifest.bank)))
    with pytest.raises(BundleError, match="inconsistent in origins"):
        open_bundle(copied)


@pytest.mark.parametrize("bands", [0, 127, 129])
def test_levels_of_another_number_of_bands_are_refused(copied: Path, bands: int) -> None:
    sign(copied, replace(read_manifest(copied), bands_db=[0.0] * bands))
    with pytest.raises(BundleError, match="inconsistent in bands_db"):
        open_bundle(copied)
