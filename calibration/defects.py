"""What is wrong with a recording by itself: silent, frozen, repeated, clipped, offset, hum only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibration.findings import Finding, severity_for, share_of, stretches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from calibration.figures import Figures
    from calibration.findings import Kind, Stretch

    Flags = NDArray[np.bool_]

SILENCE_DBFS = -90.0  # the last bit of 16: nothing was connected
DROPOUT_DBFS = -100.0  # below the quantisation noise of 16 bits, for a tenth of a second
CONSTANT_S = 0.1
LAST_BIT = 2.0**-15
CLIPPED_SHARE = 0.001  # of a second's samples
SAME_PLATEAU = 1e-3  # of the recording's range
OFFSET, LARGE_OFFSET = 0.02, 0.2  # of full scale
HUM_SHARE, PURE_HUM_SHARE = 0.95, 0.99  # of the power
HUM_REST_DBFS = -60.0  # a running machine adds more than this beside any hum
SHORTEST_HUM_S = 3.0


def find_defects(figures: Sequence[Figures]) -> tuple[list[Finding], list[Flags]]:
    """Every defect, and which seconds can't be judged any further: they hold no sound."""
    silent = [_silent(own) for own in figures]
    frozen = [_frozen(own) & ~off for own, off in zip(figures, silent, strict=True)]
    repeated = _repeated(figures, [a | b for a, b in zip(silent, frozen, strict=True)])
    dead = [a | b | c for a, b, c in zip(silent, frozen, repeated, strict=True)]
    return [
        *_by_stretch("silent", figures, silent, _silent_text),
        *_by_stretch("frozen", figures, frozen, _frozen_text),
        *_copies(figures, repeated),
        *_clipped(figures, dead),
        *_offsets(figures, silent),
        *_hum(figures, dead),
    ], dead


def _by_stretch(
    kind: Kind,
    figures: Sequence[Figures],
    flags: Sequence[Flags],
    describe: Callable[[Figures, Stretch, NDArray[np.void]], str],
    shortest_s: float = 0.0,
) -> list[Finding]:
    """A finding for each stretch; all of them refuse if together they are too much."""
    severity = severity_for(share_of(flags, figures))
    found = []
    for own, flag in zip(figures, flags, strict=True):
        for start_s, end_s in stretches(flag, own):
            if end_s - start_s < min(shortest_s, own.duration_s):
                continue
            inside = (own.seconds["start_s"] >= start_s) & (own.seconds["end_s"] <= end_s)
            text = describe(own, (start_s, end_s), own.seconds[inside])
            found.append(Finding(kind, severity, start_s, end_s, own.name, text))
    return found


def when(own: Figures, stretch: Stretch) -> str:
    """The time of a stretch, or that it is the whole recording."""
    start_s, end_s = stretch
    if start_s <= 0 and end_s >= own.duration_s - 1e-6:
        return "throughout"
    return f"from {start_s:.0f} to {end_s:.0f} s"


def _silent(own: Figures) -> Flags:
    rows = own.seconds
    gap = (rows["constant_s"] >= CONSTANT_S) & (np.abs(rows["constant_value"]) <= LAST_BIT)
    still = (own.level_dbfs < SILENCE_DBFS) & (np.abs(rows["mean"]) <= LAST_BIT)
    return np.asarray(gap | still | ((rows["quietest_dbfs"] < DROPOUT_DBFS) & ~_constant(own)))


def _constant(own: Figures) -> Flags:
    return np.asarray(own.seconds["constant_s"] >= CONSTANT_S)


def _silent_text(own: Figures, stretch: Stretch, rows: NDArray[np.void]) -> str:
    return (
        f"silent {when(own, stretch)} (down to {rows['quietest_dbfs'].min():.0f} dBFS). A machine "
        "can't be learnt from silence: check the microphone, its gain and its plug"
    )


def _frozen(own: Figures) -> Flags:
    rows = own.seconds
    dead = (own.level_dbfs < SILENCE_DBFS) | (rows["period_s"] > 0)
    return np.asarray(_constant(own) | dead)


def _frozen_text(own: Figures, stretch: Stretch, rows: NDArray[np.void]) -> str:
    period_s = float(np.median(rows["period_s"]))
    what = (
        f"the same {1000 * period_s:.0f} ms again and again"
        if period_s > 0
        else f"it stays at {rows['constant_value'][rows['constant_s'].argmax()]:.3g}"
    )
    return (
        f"frozen {when(own, stretch)} ({what}). The microphone or its driver is stuck: plug it in "
        "anew, restart, and record again"
    )


def _repeated(figures: Sequence[Figures], dead: Sequence[Flags]) -> list[Flags]:
    """Seconds that are, to the last bit, one that was heard before."""
    seen: set[int] = set()
    flags = []
    for own, off in zip(figures, dead, strict=True):
        again = np.zeros(len(own.seconds), bool)
        for i in np.flatnonzero(~off):
            digest = int(own.seconds["digest"][i])
            again[i] = digest in seen
            seen.add(digest)
        flags.append(again)
    return flags


def _copies(figures: Sequence[Figures], flags: Sequence[Flags]) -> list[Finding]:
    """Copies are no fault of the microphone: however many there are, the first is good."""
    return [
        Finding(
            "repeated", "leave out", start_s, end_s, own.name,
            f"a copy of other sound {when(own, (start_s, end_s))}, to the last bit. Copies teach "
            "nothing: delete them, and record more",
        )
        for own, flag in zip(figures, flags, strict=True)
        for start_s, end_s in stretches(flag, own)
    ]  # fmt: skip


def _clipped(figures: Sequence[Figures], dead: Sequence[Flags]) -> list[Finding]:
    shares = [
        np.where(off, 0.0, _clipped_shares(own, off))
        for own, off in zip(figures, dead, strict=True)
    ]
    flags = [share > CLIPPED_SHARE for share in shares]
    overall = severity_for(share_of(flags, figures))
    found = []
    for own, share, flag in zip(figures, shares, flags, strict=True):
        if not flag.any():
            continue
        most = np.count_nonzero(flag) > len(flag) / 2
        severity = overall if overall == "refuse" or most else "warn"
        rows = own.seconds[flag]
        peak = float(np.maximum(rows["highest"], -rows["lowest"]).max())
        text = (
            f"clipped in {np.count_nonzero(flag)} of {len(flag)} s, first at "
            f"{rows['start_s'][0]:.0f} s (up to {100 * share.max():.1f} % of the samples, at "
            f"{peak:.2f} of full scale). Turn the gain down, or move the microphone away, and "
            "record again"
        )
        found.append(Finding("clipped", severity, 0.0, own.duration_s, own.name, text))
    return found


def _clipped_shares(own: Figures, off: Flags) -> NDArray[np.float64]:
    """By second, the share of samples at full scale or at the plateau of the recording."""
    rows = own.seconds
    if off.all():
        return np.zeros(len(rows))
    top, bottom = rows["highest"][~off].max(), rows["lowest"][~off].min()
    near = SAME_PLATEAU * float(top - bottom)
    plateau = np.where(rows["highest"] >= top - near, rows["high_plateau_share"], 0.0)
    plateau = plateau + np.where(rows["lowest"] <= bottom + near, rows["low_plateau_share"], 0.0)
    return np.asarray(np.maximum(plateau, rows["full_scale_share"]), np.float64)


def _offsets(figures: Sequence[Figures], silent: Sequence[Flags]) -> list[Finding]:
    found = []
    for own, off in zip(figures, silent, strict=True):
        offset = float(np.median(own.seconds["mean"][~off])) if not off.all() else 0.0
        if abs(offset) < OFFSET:
            continue
        faulty = abs(offset) >= LARGE_OFFSET
        advice = (
            "The microphone or its amplifier may be faulty: try another"
            if faulty
            else "It is ignored, but takes away room before clipping"
        )
        text = f"a constant offset of {offset:+.2f} of full scale. {advice}"
        found.append(Finding("offset", "warn", 0.0, own.duration_s, own.name, text))
    return found


def _hum(figures: Sequence[Figures], dead: Sequence[Flags]) -> list[Finding]:
    """Where there is next to nothing but the mains: a loose plug, or a machine that is off."""
    quiet = [
        (own.seconds["rest_dbfs"] < HUM_REST_DBFS) & ~off
        for own, off in zip(figures, dead, strict=True)
    ]
    pure = [
        a & (own.seconds["hum_share"] >= PURE_HUM_SHARE)
        for own, a in zip(figures, quiet, strict=True)
    ]
    found = _by_stretch("hum", figures, pure, _hum_text, SHORTEST_HUM_S)
    named = {finding.recording for finding in found}
    for own, still in zip(figures, quiet, strict=True):
        most = still & (own.seconds["hum_share"] >= HUM_SHARE)
        if own.name not in named and np.count_nonzero(most) > len(most) / 2:
            text = _hum_text(own, (0.0, own.duration_s), own.seconds[most])
            found.append(Finding("hum", "warn", 0.0, own.duration_s, own.name, text))
    return found


def _hum_text(own: Figures, stretch: Stretch, rows: NDArray[np.void]) -> str:
    return (
        f"hardly anything but mains hum {when(own, stretch)} "
        f"({100 * float(np.median(rows['hum_share'])):.1f} % of the power, the rest at "
        f"{float(np.median(rows['rest_dbfs'])):.0f} dBFS). Check that the machine runs and the "
        "microphone is plugged in"
    )
