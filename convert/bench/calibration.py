"""Learning: the coreset and the thresholds, in time and memory, for ever more sound.

Embedding sound costs what scoring it costs. So an hour of it is embedded once; of longer sound
each further hour is that hour again with every value moved by up to `JITTER` steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibration.simulator import RATE_HZ
from convert.bench.children import ask
from convert.bench.figures import Figure, figure
from edge.bundle import open_bundle
from edge.embedding import Embedder, column_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.bench.site import BenchSite

SECTION = "calibration"
MINUTES, QUICK_MINUTES = (10, 60, 480), (10,)
EMBEDDED_MINUTES = 60
JITTER = 2
EMBEDDINGS_FILE, BANDS_FILE = "embeddings.int8", "bands_db.float32"
REPEATS = 3  # of what takes less than an hour of sound


def measure(site: BenchSite, *, quick: bool) -> Iterator[Figure]:
    """One child process for each length; the bank has its default bounds."""
    minutes = QUICK_MINUTES if quick else MINUTES
    manifest = open_bundle(site.bundle).manifest
    take = min(max(minutes), EMBEDDED_MINUTES)
    columns = _embed(site, take)
    seconds = column_s(manifest.front_end, manifest.backbone)
    for length in minutes:
        job = {
            "folder": str(site.folder),
            "columns": round(length * 60 / seconds),
            "columns_there": columns,
            "rows": manifest.backbone.grid_rows,
            "bands": manifest.backbone.mel_bands,
            "dimension": manifest.backbone.dimension,
            "column_s": seconds,
            "jitter": JITTER,
        }
        repeats = 1 if quick or length > EMBEDDED_MINUTES else REPEATS
        runs = [ask("convert.bench.calibration_child", job) for _ in range(repeats)]
        setting = f"{length} minutes of normal sound"
        for name in ("coreset", "held out, thresholds"):
            values = [run["spent_s"][name] for run in runs]
            yield figure(SECTION, setting, name, "s of processor time", values)
        peaks = [run["peak_mb"] for run in runs]
        yield figure(SECTION, setting, "peak resident memory", "MB", peaks)
        temporary = [run["temporary_mb"] for run in runs]
        yield figure(SECTION, setting, "temporary files", "MB", temporary)


def _embed(site: BenchSite, minutes: int) -> int:
    """Embed so many minutes of normal sound into files; returns how many columns there are."""
    bundle, columns = open_bundle(site.bundle), 0
    manifest = bundle.manifest
    embeddings_path, bands_path = (site.folder / name for name in (EMBEDDINGS_FILE, BANDS_FILE))
    with embeddings_path.open("wb") as embeddings, bands_path.open("wb") as bands:
        embedder = Embedder(
            manifest.front_end, bundle.backbone, rate_hz=RATE_HZ, limit_hz=manifest.limit_hz
        )
        for take in range(minutes):
            found = embedder.push(site.normal(take).astype(np.float32))
            embeddings.write(found.embeddings.tobytes())
            bands.write(found.bands_db.tobytes())
            columns += len(found.embeddings)
    return columns
