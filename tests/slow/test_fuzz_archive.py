"""Slow evidence: 100,000 damaged archives, golden windows and histories, and kills at any moment.

No traceback, and nothing is ever taken for a bundle that it isn't.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.process
import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from edge.archive import pack
from edge.bundle import GOLDEN_FILE, MANIFEST_FILE, read_files, verified
from edge.bundle_store import SIGNATURE_FILE, VERSIONS, current_version
from edge.bundle_versions import list_versions, roll_back
from edge.durable import LEFTOVER
from edge.errors import EarpatchError
from edge.golden_file import GoldenWindows, decode_golden, encode_golden
from edge.history import HISTORY, History, read_history
from edge.install import install, verify_archive
from edge.manifest import Manifest
from edge.signing import make_keys, sign
from edge.trial import Trial, start
from tests.edge.made import Files, files_of, tiny, with_manifest
from tests.slow.damage import changes, tell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Site

pytestmark = pytest.mark.fuzz

EACH = {
    "signed": 30_000,
    "unsigned": 20_000,
    "signed inside": 20_000,
    "unsigned inside": 20_000,
    "whole": 2_000,
    "golden": 20_000,
    "history": 8_000,
}
KILLS, LONGEST_INSTALL_S = 200, 60.0


def small(site: Site) -> Files:
    """Whole by its digests, and small enough that most damage hits something that is parsed."""
    files = tiny(site, "x")
    bank = msgspec.json.decode(files[MANIFEST_FILE], type=Manifest).bank
    fewer = msgspec.structs.replace(bank, rows=2, origin_recording=[0, 0], origin_s=[0.0, 1.0])
    return with_manifest(files, bank=fewer)


def damaged(files: Files, kind: str) -> Iterator[bytes]:
    """Archives damaged anywhere, or put together anew around one damaged file."""
    if not kind.endswith("inside"):
        yield from changes(pack(files), EACH[kind], seed=len(kind))
        return
    share = -(-EACH[kind] // len(files))
    for seed, (name, data) in enumerate(files.items()):
        yield from (pack({**files, name: changed}) for changed in changes(data, share, seed))


def same_bundle(found: Files, intact: Files) -> bool:
    """The same but for white space in the manifest, and how the signature is written."""
    others = {n: d for n, d in intact.items() if n not in {MANIFEST_FILE, SIGNATURE_FILE}}
    here, there = (
        msgspec.json.decode(each[MANIFEST_FILE], type=Manifest) for each in (found, intact)
    )
    return here == there and all(found[name] == data for name, data in others.items())


def refusal(archive: bytes, path: Path, trust: Path | None, intact: Files) -> str:
    """The kind of error that an archive ends in."""
    try:
        found = verify_archive(archive, path, trust).files
    except EarpatchError as error:
        one_line = str(error).startswith(str(path)) and "\n" not in str(error)
        return type(error).__name__ if one_line else f"badly told: {error}"
    if trust is not None and found[MANIFEST_FILE] != intact[MANIFEST_FILE]:
        return "WRONGLY ACCEPTED"
    return "the same in other words" if same_bundle(found, intact) else "WRONGLY ACCEPTED"


@pytest.mark.parametrize(
    "kind", ["signed", "unsigned", "signed inside", "unsigned inside", "whole"]
)
def test_no_damaged_archive_is_taken_for_another_one(site: Site, tmp_path: Path, kind: str) -> None:
    private, public = make_keys(tmp_path / "keys")
    intact = files_of(site) if kind == "whole" else small(site)
    trust = None if kind.startswith("unsigned") else public.parent
    if trust is not None:
        intact = {**intact, SIGNATURE_FILE: sign(intact[MANIFEST_FILE], private)}
    path = tmp_path / "x.earpatch"
    outcomes = Counter(refusal(each, path, trust, intact) for each in damaged(intact, kind))
    tell(f"archive, {kind}", outcomes)
    assert set(outcomes) <= {"BundleError", "SigningError", "the same in other words"}
    assert outcomes["the same in other words"] < EACH[kind] / 4


def test_damaged_golden_windows_are_clear_errors(site: Site) -> None:
    """Their digest would tell; this is what a hostile file could do that has one."""
    golden = decode_golden(files_of(site)[GOLDEN_FILE])
    few = GoldenWindows(
        golden.inputs[:2, :3, :3],
        golden.embeddings[:2, :2, :2, :3],
        golden.squared[:2, :2, :2],
        golden.nearest[:2, :2, :2],
    )
    outcomes = Counter[str]()
    for data in changes(encode_golden(few), EACH["golden"], seed=11):
        with contextlib.suppress(EarpatchError):
            assert encode_golden(decode_golden(data)) == data
            outcomes["other numbers"] += 1
    outcomes["BundleError"] = EACH["golden"] - outcomes.total()
    tell("golden windows", outcomes)


def test_damaged_histories_never_keep_a_node_from_starting(tmp_path: Path) -> None:
    """I14."""
    history = History(order=["a", "b"], passed=["a"], failed={"c": "deaf"}).followed_by(
        "d", "b", {"a", "b", "c", "d"}, "2026-11-25T10:00:00+00:00"
    )
    outcomes = Counter[str]()
    for data in changes(history.encoded(), EACH["history"], seed=12):
        (tmp_path / HISTORY).write_bytes(data)
        found = read_history(tmp_path)
        found.before("d")
        if "d" in found.trials:
            found.with_start("d", "boot").with_missed_test("d")
        found.with_pass("d").with_failure("c", "deaf").followed_by("e", "d", {"d", "e"}, None)
        outcomes["a new one" if found == History() else "a history"] += 1
    tell("history", outcomes)


def moment(
    random: np.random.Generator,
    bundle: Path,
    process: multiprocessing.process.BaseProcess,
    *,
    writing: bool,
) -> None:
    """Wait for one: anywhere, or in the writing, unless that is over before anyone saw it."""
    deadline_s = time.monotonic() + LONGEST_INSTALL_S
    while writing and process.is_alive() and not list((bundle / VERSIONS).glob(f"{LEFTOVER}*")):
        assert time.monotonic() < deadline_s
        time.sleep(0.0005)
    time.sleep(float(random.uniform(0, 0.05 if writing else 0.5)))


def test_killed_at_any_moment_of_an_install_the_old_or_the_new_bundle_is_there_whole(
    site: Site, tmp_path: Path
) -> None:
    """I19, I21: and the next start and the next install need no repair."""
    private, public = make_keys(tmp_path / "keys")
    bundle, archive = site.copy_bundle(tmp_path / "bundle"), tmp_path / "x.earpatch"
    random, context = np.random.default_rng(5), multiprocessing.get_context("fork")
    outcomes = Counter[str]()
    for number in range(KILLS):
        files = files_of(site, f"maker {number}")
        signature = sign(files[MANIFEST_FILE], private)
        archive.write_bytes(pack({**files, SIGNATURE_FILE: signature}))
        before = current_version(bundle)
        process = context.Process(target=install, args=(archive, bundle, public.parent))
        process.start()
        moment(random, bundle, process, writing=bool(number % 2))
        process.kill()
        process.join(LONGEST_INSTALL_S)
        after = current_version(bundle)
        is_new = verified(read_files(after), after).created_by == f"maker {number}"
        assert is_new or after == before
        assert not [each for each in list_versions(bundle) if each.state == "damaged"]
        assert start(bundle).notes == []
        if is_new:
            assert Trial(bundle).state == "on trial"
            roll_back(bundle)  # so that no version is started too often
        outcomes["new" if is_new else "old"] += 1
    tell("killed installs", outcomes)
    assert outcomes["old"] > 0
    assert outcomes["new"] > 0
    install(archive, bundle, public.parent)


def test_these_are_a_hundred_thousand() -> None:
    assert sum(EACH.values()) >= 100_000
