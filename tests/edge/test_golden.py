"""Golden windows: equal, off by rounding, or so different that the thresholds don't hold."""

import warnings
from dataclasses import replace as with_field

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray

from edge.bundle import open_bundle
from edge.errors import BundleError
from edge.golden import TOLERATED, GoldenReport, Shift, check, refuse_if_different
from edge.runtime import KernelChoice, RuntimeName
from tests.conftest import INSTALLED_RUNTIMES, Site
from tests.edge.made import expecting, moved

Int8Array = NDArray[np.int8]


@pytest.mark.parametrize("runtime", INSTALLED_RUNTIMES)
def test_where_calibration_was_everything_is_equal(site: Site, runtime: RuntimeName) -> None:
    """Optimised kernels round alike in both runtimes on one architecture."""
    report = check(open_bundle(site.bundle_path, runtime=runtime))
    assert (report.verdict, report.equal_share, report.largest_steps) == ("equal", 1.0, 0)
    assert report.shift == Shift()
    assert report.is_valid
    assert report.runs_on.name == runtime
    assert "all 7 equal" in report.line


OTHERS: list[tuple[RuntimeName, KernelChoice]] = [
    (runtime, kernels)
    for runtime in INSTALLED_RUNTIMES
    for kernels in (("reference", "xnnpack") if runtime == "litert" else ("reference",))
]


@pytest.mark.parametrize(("runtime", "kernels"), OTHERS)
def test_other_kernels_round_differently_and_are_tolerated(
    site: Site, runtime: RuntimeName, kernels: KernelChoice
) -> None:
    """H15: what is not equal is named, with what thresholds were made with and what runs here."""
    made_with = site.open().manifest.runtime.kernels
    report = check(open_bundle(site.bundle_path, runtime=runtime, kernels=kernels))
    is_same = kernels == made_with  # without tflite-runtime, litert makes thresholds with XNNPACK
    assert report.verdict == ("equal" if is_same else "tolerated")
    assert report.equal_share == 1.0 if is_same else 0.5 < report.equal_share < 1.0
    assert report.largest_steps == 0 if is_same else report.largest_steps > 1
    assert f"{kernels} kernels" in report.line
    assert f"{made_with} kernels" in report.line


def test_one_step_here_and_there_is_told_as_such(site: Site) -> None:
    report = check(moved(site.open(), steps=1, share=0.01))
    assert report.verdict == "within one step"
    assert report.largest_steps == 1
    assert report.is_valid
    refuse_if_different(report)


def test_embeddings_of_another_model_are_refused_with_what_to_do(site: Site) -> None:
    """H15: no threshold is better than a wrong one."""
    report = check(moved(site.open(), steps=30, share=0.5))
    assert report.verdict == "different"
    with pytest.raises(BundleError, match=r"'earpatch calibrate'.*'--kernels reference'"):
        refuse_if_different(report)


@pytest.mark.parametrize(
    ("shift", "tolerated"),
    [
        (Shift(TOLERATED.cells, -TOLERATED.row, TOLERATED.all_rows), True),
        (Shift(TOLERATED.cells * 1.01, 0.0, 0.0), False),
        (Shift(0.1, -TOLERATED.row * 1.01, 0.0), False),
        (Shift(0.1, 0.1, TOLERATED.all_rows * 1.01), False),
        (Shift(float("nan"), 0.0, 0.0), False),
        (Shift(float("inf"), 0.0, 0.0), False),
    ],
)
def test_every_one_of_the_three_bounds_counts(shift: Shift, tolerated: bool) -> None:
    assert shift.is_tolerated is tolerated


def test_a_shift_towards_alarms_is_positive(site: Site) -> None:
    """Expected embeddings were rows of the bank: what is found here is further away."""
    bundle = site.open()
    rows = bundle.bank.nearest(bundle.golden.embeddings.reshape(-1, bundle.bank.dimension))[1]
    nearest = bundle.bank.rows[rows].reshape(bundle.golden.embeddings.shape)
    report = check(expecting(bundle, nearest))
    assert report.shift.all_rows > 0
    assert report.verdict == "different"


def test_distances_that_do_not_follow_from_the_embeddings_are_refused(site: Site) -> None:
    """A BLAS that calculates wrongly, or a bundle put together from two."""
    bundle = site.open()
    squared = bundle.golden.squared.copy()
    squared[0, 0, 0] += 1
    golden = with_field(bundle.golden, squared=squared)
    with pytest.raises(BundleError, match=r"1 of .* distances are not what calibration found"):
        check(with_field(bundle, golden=golden))


def test_absurd_spreads_are_no_warning_and_no_tolerance(site: Site) -> None:
    bundle = moved(site.open(), steps=1, share=0.5)
    limits = bundle.manifest.thresholds
    tiny = structs.replace(limits.local.distance, spread=[5e-324] * bundle.manifest.rows)
    local = structs.replace(limits.local, distance=tiny)
    manifest = structs.replace(bundle.manifest, thresholds=structs.replace(limits, local=local))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report: GoldenReport = check(with_field(bundle, manifest=manifest))
    assert report.verdict == "different"
