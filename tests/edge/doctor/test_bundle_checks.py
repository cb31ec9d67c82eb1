"""Bundles in a process of their own: verified, and how fast they score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge.bundle import BANK_FILE
from edge.bundle_store import current_version
from edge.doctor.bundles import bundle_checks, checks, golden_check, speed_check
from edge.doctor.child import Probed
from tests.conftest import INSTALLED_RUNTIMES
from tests.edge.doctor.visits import only, says, states, visit_to
from tests.edge.status.snapshots import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from edge.doctor.check import State
    from tests.conftest import Site

VERIFIED = {
    "id": "43fef0ff04bb4188",
    "created": "2026-11-25T10:15:00Z",
    "made_with": "tflite-runtime 2.14.0",
    "runs_on": "tflite-runtime 2.14.0",
}


def test_a_good_bundle_is_verified_and_timed(tmp_path: Path, site: Site) -> None:
    found = list(checks(visit_to(tmp_path, bundle=site.bundle_path)))
    says(only(found, "bundle"), "ok", site.open().manifest.bundle_id, "every byte")
    says(only(found, "golden windows"), "ok", "equal")
    says(only(found, "speed"), "ok", "% of the time")


def test_a_bundle_with_one_wrong_byte_is_refused(tmp_path: Path, site: Site) -> None:
    path = current_version(site.copy_bundle(tmp_path / "bundle")) / BANK_FILE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    found = list(checks(visit_to(tmp_path)))
    assert states(found) == {"bundle": "failed"}
    says(found[0], "failed", "does not match the manifest", "earpatch calibrate")


def test_no_bundle_is_a_line(tmp_path: Path) -> None:
    says(only(checks(visit_to(tmp_path)), "bundle"), "failed", "no such bundle")


def test_a_running_node_s_own_figure_is_told_instead_of_measuring_beside_it(
    tmp_path: Path, site: Site
) -> None:
    visit = visit_to(tmp_path, bundle=site.bundle_path)
    visit.running, visit.snapshot = True, snapshot()
    says(only(checks(visit), "speed"), "ok", "the running node's own figure")


def test_another_runtime_than_the_one_that_made_the_thresholds_is_told() -> None:
    """Whether thresholds hold is for the golden windows to decide."""
    told = {**VERIFIED, "runs_on": "litert 2.3.0"}
    found = only(bundle_checks("bundle", Probed({"verify": told})), "bundle")
    says(found, "ok", "tflite-runtime 2.14.0", "litert 2.3.0", "golden windows decide")


def test_a_bundle_that_kills_its_process_is_a_line() -> None:
    probed = Probed({"verify": VERIFIED}, "speed", "killed by SIGILL", signal=4)
    assert [check.state for check in bundle_checks("bundle", probed)] == ["ok", "failed"]


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"valid": True, "line": "golden windows: all 7 equal"}, "ok"),
        ({"valid": False, "line": "golden windows: different"}, "failed"),
        ({"error": "BLAS calculates wrongly"}, "failed"),
    ],
)
def test_golden_windows_decide_where_there_are_some(told: dict[str, object], state: State) -> None:
    says(golden_check(told), state)


@pytest.mark.parametrize(
    ("factor", "inputs", "state"),
    [(0.05, 1, "ok"), (0.05, 9, "ok"), (0.3, 2, "warning"), (0.6, 2, "failed"), (1.1, 1, "failed")],
)
def test_all_inputs_share_one_computer(factor: float, inputs: int, state: State) -> None:
    says(speed_check(factor, inputs), state)


@pytest.mark.parametrize("runtime", INSTALLED_RUNTIMES)
def test_the_runtime_that_the_configuration_names_is_the_one_that_is_tried(
    tmp_path: Path, site: Site, runtime: str
) -> None:
    bundle = f'{site.bundle_path}"\nruntime = "{runtime}'
    found = list(checks(visit_to(tmp_path, bundle=bundle)))
    assert f"{runtime} " in only(found, "bundle").found
    assert only(found, "golden windows").state == "ok"
