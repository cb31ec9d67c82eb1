"""Slow evidence: thousands of damaged files, and every one is a clear error or does no harm."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from convert.torch_weights import WeightsError, read_state_dict
from edge.bundle import MANIFEST_FILE, Manifest, open_bundle, read_manifest
from edge.bundle_store import FILES, current_version
from edge.detector import Detector
from edge.errors import EarpatchError
from edge.golden import check
from tests.convert.torch_files import archive, legacy, state_dict, tensor
from tests.slow.damage import changes, tell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Site

pytestmark = pytest.mark.fuzz

OTHER_FILES = ("backbone.tflite", "bank.tflite", "golden.bin")
FILES_EACH = {
    "bundle": 1_500,
    "manifest": 1_000,
    "crafted": 500,
    "weights": 1_000,
}
VALUES = [None, True, 0, -1, 1, 2, 7, 0.5, 1e30, -1e30, 2**62, "", "x", [], [0], {}, {"x": 1}]


def test_no_damaged_file_of_a_bundle_is_ever_used(site: Site, tmp_path: Path) -> None:
    path = site.copy_bundle(tmp_path / "bundle")
    outcomes: Counter[str] = Counter()
    for seed, name in enumerate(OTHER_FILES):
        file = current_version(path) / name
        original = file.read_bytes()
        for changed in changes(original, FILES_EACH["bundle"] // len(OTHER_FILES), seed):
            file.write_bytes(changed)
            with pytest.raises(EarpatchError) as failure:
                open_bundle(path)
            outcomes[type(failure.value).__name__] += 1
        file.write_bytes(original)
    assert open_bundle(path).manifest == site.open().manifest
    tell("bundle", outcomes)


def test_no_damaged_manifest_is_taken_for_another_one(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "version"
    folder.mkdir()
    source = current_version(site.bundle_path)
    intact = read_manifest(source)
    outcomes: Counter[str] = Counter()
    for changed in changes((source / MANIFEST_FILE).read_bytes(), FILES_EACH["manifest"], 2):
        (folder / MANIFEST_FILE).write_bytes(changed)
        try:
            assert read_manifest(folder) == intact
        except EarpatchError as error:
            outcomes[type(error).__name__] += 1
        else:
            outcomes["the same in other words"] += 1
    assert outcomes["the same in other words"] < FILES_EACH["manifest"] / 4
    tell("manifest", outcomes)


def leaves(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    items = (
        value.items() if isinstance(value, dict)
        else enumerate(value) if isinstance(value, list) else ()
    )  # fmt: skip
    for key, inner in items:
        yield (*path, key)
        yield from leaves(inner, (*path, key))


def test_absurd_manifests_under_their_own_id_are_clear_errors(site: Site, tmp_path: Path) -> None:
    """One value replaced and the id made to fit: the bundle opens and runs, or is refused."""
    path = site.copy_bundle(tmp_path / "bundle")
    file = current_version(path) / MANIFEST_FILE
    original = file.read_bytes()
    places = list(leaves(json.loads(original)))
    random = np.random.default_rng(3)
    outcomes: Counter[str] = Counter()
    while outcomes.total() < FILES_EACH["crafted"]:
        content = json.loads(original)
        *parents, last = places[int(random.integers(len(places)))]
        inner = content
        for key in parents:
            inner = inner[key]
        inner[last] = VALUES[int(random.integers(len(VALUES)))]
        raw = json.dumps(content).encode()
        with contextlib.suppress(msgspec.DecodeError, msgspec.EncodeError):
            raw = msgspec.json.encode(msgspec.json.decode(raw, type=Manifest).with_id())
        file.write_bytes(raw)
        try:
            bundle = open_bundle(path)
            check(bundle)
            detector = Detector(bundle, rate_hz=48_000)
            detector.push(site.sound[:48_000])
            detector.finish()
        except EarpatchError as error:
            outcomes[type(error).__name__] += 1
        else:
            outcomes["does no harm"] += 1
    tell("crafted manifest", outcomes)


def test_damaged_weights_are_clear_errors(tmp_path: Path) -> None:
    program = state_dict(a=tensor((4, 6), (6, 1)), b=tensor((2, 3), (6, 2), 7))
    intact = [archive(program), archive(program, method=zipfile.ZIP_DEFLATED), legacy(program)]
    path = tmp_path / "weights.pt"
    outcomes: Counter[str] = Counter()
    for seed, data in enumerate(intact):
        for changed in changes(data, -(-FILES_EACH["weights"] // len(intact)), 5 + seed):
            path.write_bytes(changed)
            try:
                found = read_state_dict(path)
            except WeightsError:
                outcomes["WeightsError"] += 1
            else:
                assert all(isinstance(array, np.ndarray) for array in found.values())
                outcomes["still tensors"] += 1
    tell("weights", outcomes)


def test_the_files_of_a_bundle_are_all_fuzzed_here() -> None:
    assert {*OTHER_FILES, MANIFEST_FILE} == set(FILES)
    assert sum(FILES_EACH.values()) >= 4_000
