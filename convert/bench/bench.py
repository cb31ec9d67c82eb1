"""The command `earpatch bench`: sections in turn, tables or one JSON object a line."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from convert.bench import calibration, kernel, path, peers, soak
from convert.bench.commands import SECTIONS
from convert.bench.site import BenchSite
from convert.bench.table import lines_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from convert.bench.figures import Figure

# Minutes of normal sound, and seconds to score; the slowest scale is learnt from twelve on.
SITE, QUICK_SITE = (12, 300.0), (2, 60.0)


def bench(arguments: argparse.Namespace) -> int:
    """Measure what was asked for, and print each section once it is done."""
    sections = arguments.only or [name for name in SECTIONS if name != soak.SECTION]
    with tempfile.TemporaryDirectory(prefix="earpatch-bench-") as folder:
        for section in sections:
            figures = list(_section(section, Path(folder), arguments))
            if arguments.json:
                print(*(msgspec.json.encode(each).decode() for each in figures), sep="\n")
            else:
                print(*lines_of(figures), sep="\n", flush=True)
    return 0


def _section(section: str, folder: Path, arguments: argparse.Namespace) -> Iterator[Figure]:
    quick = arguments.quick
    if section == kernel.SECTION:
        return kernel.measure(quick=quick, note=_note)
    minutes, scored_s = QUICK_SITE if quick else SITE
    site = BenchSite(folder, minutes=minutes, scored_s=scored_s)
    if section == path.PATH:
        return path.measure_path(site, quick=quick)
    if section == path.START:
        return path.measure_start(site, quick=quick)
    if section == calibration.SECTION:
        return calibration.measure(site, quick=quick)
    if section == peers.SECTION:
        ours = list(path.measure_whole(site, quick=quick))
        return peers.measure(site, ours, arguments.peers_python, _note)
    return soak.measure(site, quick=quick, hours=arguments.hours)


def _note(line: str) -> None:
    print(f"earpatch: {line}", file=sys.stderr)
