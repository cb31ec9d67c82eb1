"""The results as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.evaluation_latency import Latency
    from convert.evaluation_quantisation import Agreement
    from convert.evaluation_results import Result


def table(results: Sequence[Result]) -> str:
    """The results as text, set by set."""
    set_width = max(len("set"), *(len(r.set) for r in results))
    width = max(len("system"), *(len(r.system) for r in results))
    lines = [
        f"{'set':{set_width}} {'system':{width}} {'clips':>9}  "
        f"{'AUC':>5} {'95 %':>13} {'pAUC':>5}  "
        f"{'cell':>5} {'AP':>5} {'AUPRO':>5}  {'PSDS':>5} {'F1':>5}"
    ]
    previous = ""
    for r in results:
        counts = f"{r.normal_clips}+{r.anomalous_clips}"
        name, previous = ("" if r.set == previous else r.set), r.set
        clip, cell, event = r.clip, r.cell, r.event
        line = f"{name:{set_width}} {r.system:{width}} {counts:>9}  {clip.auc:5.3f} "
        line += f"{f'{clip.auc_low:.3f}-{clip.auc_high:.3f}':>13} {clip.pauc:5.3f}  "
        cells = msgspec.structs.astuple(cell) if cell else 3 * (None,)
        line += " ".join(map(_shown, cells)) + "  "
        line += " ".join(map(_shown, msgspec.structs.astuple(event) if event else 2 * (None,)))
        lines.append(line)
    return "\n".join(lines)


def latency_table(rows: Sequence[Latency]) -> str:
    """Times in milliseconds, a line a backbone."""
    width = max(len("backbone"), *(len(row.backbone) for row in rows))
    lines = [f"{'backbone':{width}} {'median ms':>10} {'90 % ms':>8} {'of mn04':>8}  runtime"]
    for row in rows:
        ratio = "-" if row.ratio_to_mn04 is None else f"{row.ratio_to_mn04:.2f}"
        lines.append(
            f"{row.backbone:{width}} {row.median_ms:10.2f} {row.quantile_90_ms:8.2f} {ratio:>8}  "
            f"{row.runtime} {row.version}"
        )
    return "\n".join(lines)


def agreement_table(rows: Sequence[Agreement]) -> str:
    """Rank correlation of int8 with float, a line a set."""
    width = max(len("set"), *(len(row.set) for row in rows))
    lines = [f"{'set':{width}} {'cells':>8} {'Spearman':>9} {'top 5 %':>8}"]
    lines += [
        f"{row.set:{width}} {row.cells:8d} {row.spearman:9.4f} {row.spearman_top:8.4f}"
        for row in rows
    ]
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return f"{'-':>5}" if value is None else f"{value:5.3f}"
