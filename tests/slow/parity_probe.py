"""What a computer makes of the same material: `-m tests.slow.parity_probe MATERIAL OUT`.

It needs what a node has. MATERIAL holds a bundle for each kind of kernels, named after it,
recordings and `queries.npy`; OUT gets `probed.json` and `arrays.npz`.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edge.bundle import open_bundle
from edge.embedding import Windows
from edge.errors import RuntimeUnavailableError
from edge.events import Event
from edge.golden import check
from edge.kernel_table import TRIED
from edge.recording import find_recordings, read_blocks, recording_info
from edge.scoring import score_recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edge.bundle import Bundle

    Arrays = dict[str, NDArray[Any]]

PROBED, ARRAYS, QUERIES, SOUND = "probed.json", "arrays.npz", "queries.npy", "sound"
BUNDLES = "bundles"
FRAMES, QUANTISED, SQUARED, NEAREST, EVIDENCE = (
    "frames", "quantised", "squared", "nearest", "evidence"
)  # fmt: skip


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One runtime with one kind of kernels, on a bundle that was made with them elsewhere."""

    runtime: str
    version: str
    kernels: str
    verdict: str  # of the golden windows
    equal_share: float
    largest_steps: int
    events: dict[str, list[Event]]  # by recording

    @property
    def name(self) -> str:
        """Which it is."""
        return f"{self.runtime} {self.kernels}"


class Probed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of them."""

    machine: str  # as `uname -m` says it
    python: str
    numpy: str
    runs: list[Run]


def main(material: Path, out: Path) -> None:
    """Look at everything, and write it down."""
    bundles = {path.name: path for path in sorted((material / BUNDLES).iterdir())}
    recordings = find_recordings(material / SOUND)
    arrays: Arrays = {}
    runs = []
    for runtime, kernels in TRIED:
        try:
            bundle = open_bundle(bundles[kernels], runtime=runtime, kernels=kernels)
        except RuntimeUnavailableError:
            continue
        if bundle.backbone.runtime.kernels == kernels:
            runs.append(_run(bundle, recordings, arrays))
    exact = open_bundle(bundles["reference"], kernels="reference")
    _look(exact, recordings, np.load(material / QUERIES), arrays)
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / ARRAYS, **arrays)
    probed = Probed(platform.machine(), platform.python_version(), np.__version__, runs)
    (out / PROBED).write_bytes(msgspec.json.encode(probed))


def read(out: Path) -> tuple[Probed, Arrays]:
    """What was written."""
    with np.load(out / ARRAYS) as arrays:
        return msgspec.json.decode((out / PROBED).read_bytes(), type=Probed), dict(arrays)


def _run(bundle: Bundle, recordings: list[Path], arrays: Arrays) -> Run:
    report, info = check(bundle), bundle.backbone.runtime
    scored = {path.name: score_recording(bundle, path) for path in recordings}
    run = Run(
        runtime=info.name,
        version=info.version,
        kernels=info.kernels,
        verdict=report.verdict,
        equal_share=report.equal_share,
        largest_steps=report.largest_steps,
        events={name: each.verdict.events for name, each in scored.items()},
    )
    arrays[f"{EVIDENCE} {run.name}"] = np.concatenate([s.evidence for s in scored.values()])
    return run


def _look(bundle: Bundle, recordings: list[Path], queries: NDArray[np.int8], out: Arrays) -> None:
    """What comes before the backbone, and after it."""
    frames = np.concatenate([window for path in recordings for window in _windows(bundle, path)])
    out[FRAMES] = frames
    out[QUANTISED] = bundle.backbone.quantise(frames)
    out[SQUARED], out[NEAREST] = bundle.bank.nearest(queries)


def _windows(bundle: Bundle, path: Path) -> Iterator[NDArray[np.float32]]:
    manifest, info = bundle.manifest, recording_info(path)
    windows = Windows(
        manifest.front_end, bundle.backbone.info, rate_hz=info.rate_hz, limit_hz=manifest.limit_hz
    )
    for block in read_blocks(info):
        yield from windows.push(block)
    yield from windows.finish()[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
