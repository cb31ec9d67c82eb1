"""The report of a calibration: what was heard, what the bank covers, what the alarm level promises.

For the technician who has to say whether a node may be trusted, and what to do if not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibration import page
from calibration.coverage import MOST_RADII, uncovered_share
from calibration.curves import histogram, tail_chart, upright_bars
from calibration.phrases import plural, printable, spoken_hz, spoken_rate, spoken_time, spoken_utc
from edge.embedding import column_s
from edge.errors import EarpatchError
from edge.frontend import band_edges_hz
from edge.pictures.colours import sound_colours, sound_legend
from edge.pictures.images import Axes, Layer, Sheet
from edge.pictures.spectrograms import Spectrogram
from edge.tail import DAY_S

if TYPE_CHECKING:
    from pathlib import Path

    from calibration.learn import Learnt

MOST_BARS = 120
WIDTH_PX, TEXT_PX, BAND_PX = 960, 26, 3
ENOUGH_S, CERTAIN_WITHIN = 600.0, 10.0  # of normal sound; between the bounds of the promise
UNEVEN_DB, QUIET_GAIN_DB, LOUD_DBFS = 12.0, 50.0, -6.0
MUCH_UNCOVERED = 0.01


def default_report(bundle: Path) -> Path:
    """Beside the bundle's folder, never in it: what is in there is verified."""
    whole = bundle.absolute() if bundle.name not in {"", ".."} else bundle.resolve()
    return whole.with_name(f"{whole.name}-report.html")


def check_report_target(report: Path, bundle: Path) -> None:
    """Refuse a report inside the bundle's folder.

    Raises:
        EarpatchError: it would be.
    """
    if bundle.resolve() in report.resolve().parents:
        raise EarpatchError(f"{report}: lies in the bundle's folder; choose another with --report")


def write_report(path: Path, bundle: Path, learnt: Learnt) -> None:
    """Write the report.

    Raises:
        EarpatchError: it can't be written.
    """
    page.write(path, report_page(bundle, learnt).encode())


def report_page(bundle: Path, learnt: Learnt) -> str:
    """The report as a page that needs nothing else."""
    name = printable(bundle.absolute().name)
    manifest = learnt.manifest
    total_s = sum(recording.duration_s for recording in manifest.recordings)
    told = [
        ("bundle", f"{manifest.bundle_id}, {manifest.created_by}"),
        ("made", spoken_utc(manifest.created_utc)),
        ("normal sound", f"{spoken_time(total_s)} in "
                         f"{plural(len(manifest.recordings), 'recording')}"),
        ("heard up to", spoken_hz(manifest.limit_hz)),
        ("gain", f"{manifest.front_end.gain_db:+.1f} dB"),
        ("bank", f"{manifest.bank.rows} patches out of {manifest.bank.chosen_from_cells}"),
        ("backbone", f"{manifest.backbone.name}, {manifest.runtime}"),
    ]  # fmt: skip
    steps = "".join(page.element("li", step) for step in next_steps(learnt))
    return page.page(
        f"Calibration of {name}",
        [
            f"<header>{page.element('h1', f'Calibration of {name}')}{page.facts(told)}</header>",
            f"<section>{page.element('h2', 'What to do next')}<ol>{steps}</ol></section>",
            _promise(learnt),
            _levels(learnt),
            _sound(learnt, total_s),
            _coverage(learnt),
        ],
    )


def next_steps(learnt: Learnt) -> list[str]:
    """What the technician should do, the most urgent first."""
    manifest, promise = learnt.manifest, learnt.promise
    recordings = manifest.recordings
    levels = [recording.level_dbfs for recording in recordings]
    steps = []
    if learnt.alarms_in_check and _achieved(learnt) > promise.high:
        steps.append(
            "Listen to the end of the last recordings: the check found more alarms there than were "
            "promised. If the machine was well, its sound has changed in that time; record all of "
            "its states and calibrate again. If it was not, leave those recordings out."
        )
    if max(levels) - min(levels) > UNEVEN_DB:
        quiet, loud = (recordings[int(pick(levels))] for pick in (np.argmin, np.argmax))
        steps.append(
            f"Compare {_name(quiet.path)} ({quiet.level_dbfs:.0f} dBFS) with {_name(loud.path)} "
            f"({loud.level_dbfs:.0f} dBFS): they differ by {max(levels) - min(levels):.0f} dB. If "
            "the microphone was moved or a recording is not of this machine, leave it out."
        )
    if manifest.front_end.gain_db > QUIET_GAIN_DB:
        steps.append("Check the microphone and its gain: the sound is very quiet.")
    if max(levels) > LOUD_DBFS:
        steps.append("Turn the microphone's gain down: the sound is close to clipping.")
    total_s = sum(recording.duration_s for recording in recordings)
    if total_s < ENOUGH_S or promise.high > CERTAIN_WITHIN * max(promise.low, 1e-9):
        steps.append(
            "Record more normal sound, in all states in which the machine is well, and calibrate "
            f"again: {spoken_time(total_s)} leave it open whether normal sound raises an alarm "
            f"{spoken_rate(promise.low)} or {spoken_rate(promise.high)}."
        )
    return [*steps, *GO_ON]


GO_ON = (
    "Score recordings of other days with 'earpatch score': when the machine was well, they should "
    "stay below 1. Look at one that does not with 'earpatch explain'.",
    "Then let the node run, and calibrate again when the machine or the microphone has changed.",
)


def _promise(learnt: Learnt) -> str:
    limits, promise = learnt.manifest.thresholds, learnt.promise
    asked = limits.false_alarms_per_day
    words = [
        f"Asked for: a false alarm {spoken_rate(asked)}. The alarm level, a score of 1, was set "
        f"where normal sound should come so often. That rests on {spoken_time(limits.held_out_s)} "
        f"of sound held out in turn, {promise.samples} independent samples.",
        f"With 90 % confidence the true rate lies between {spoken_rate(promise.low)} and "
        f"{spoken_rate(promise.high)}."
        + (" It is extrapolated: so rare a score was not heard." if promise.extrapolated else ""),
        _checked(learnt),
    ]
    svg = tail_chart(
        limits.tail,
        asked,
        (promise.low, promise.high),
        "How often a day normal sound reaches which score: counted, fitted and extrapolated",
    )
    caption = (
        "How often a day normal sound reaches a score. Points were counted; the line was fitted to "
        "the highest of them, and is dashed where nothing was heard any more. The thick bar at the "
        "alarm level spans the interval."
    )
    kind = "note" if promise.extrapolated else ""
    text = "".join(page.element("p", line, kind if i == 1 else "") for i, line in enumerate(words))
    return (
        f"<section>{page.element('h2', 'What the alarm level promises')}{text}"
        f"{page.chart(svg, caption)}</section>"
    )


def _checked(learnt: Learnt) -> str:
    """The achieved rate; with no alarm at all, the most that it can be (95 %, rule of three)."""
    if not learnt.checked_s:
        return "Not checked: with five minutes of normal sound the last tenth is kept for that."
    found = plural(learnt.alarms_in_check, "alarm")
    checked = f"the last {spoken_time(learnt.checked_s)}, of which nothing was learnt"
    if learnt.alarms_in_check:
        return f"Checked: {found} in {checked}; that is {spoken_rate(_achieved(learnt))}."
    most = float(f"{3 * DAY_S / learnt.checked_s:.2g}")
    return f"Checked: no alarm in {checked}. That only says: fewer than {most:,.0f} a day."


def _achieved(learnt: Learnt) -> float:
    return learnt.alarms_in_check * DAY_S / learnt.checked_s


def _levels(learnt: Learnt) -> str:
    recordings = learnt.manifest.recordings
    each = -(-len(recordings) // MOST_BARS)
    levels = [recording.level_dbfs for recording in recordings]
    medians = [float(np.median(levels[i : i + each])) for i in range(0, len(levels), each)]
    quiet, loud = (recordings[int(pick(levels))] for pick in (np.argmin, np.argmax))
    grouped = f" Each bar is the median of {each} in a row." if each > 1 else ""
    caption = (
        f"The quietest is {_name(quiet.path)} with {quiet.level_dbfs:.1f} dBFS, the loudest "
        f"{_name(loud.path)} with {loud.level_dbfs:.1f} dBFS.{grouped}"
    )
    svg = upright_bars(medians, "dBFS", "Level of each recording in dBFS")
    return (
        f"<section>{page.element('h2', 'Level by recording')}{page.chart(svg, caption)}</section>"
    )


def _sound(learnt: Learnt, total_s: float) -> str:
    manifest = learnt.manifest
    heard = Spectrogram(learnt.overview_db, 0.0, total_s)
    bounds_db = heard.bounds_db()
    edges_hz = band_edges_hz(manifest.front_end)
    bands = learnt.overview_db.shape[1]
    sheet = Sheet(WIDTH_PX, TEXT_PX)
    sheet.panel(
        "Normal sound",
        Layer(sound_colours(heard.bands_db, *bounds_db), 0.0, total_s),
        Axes(0.0, total_s, float(edges_hz[0]), float(edges_hz[bands])),
        height_px=BAND_PX * bands,
        legend=sound_legend(*bounds_db),
    )
    each_s = total_s / max(1, len(learnt.overview_db))
    least_s = column_s(manifest.front_end, manifest.backbone)
    caption = (
        f"One recording after the other; a column is the mean of {max(each_s, least_s):.2g} s. "
        "Look for what does not belong to the machine when it is well: a voice, another machine, "
        "a stretch of silence."
    )
    drawn = page.picture(sheet.png(), "Spectrogram of all normal sound", caption)
    return f"<section>{page.element('h2', 'What was learnt')}{drawn}</section>"


def _coverage(learnt: Learnt) -> str:
    share = uncovered_share(learnt.coverage)
    part = f"{100 * share:.2g} %" if share else "Nothing"
    words = (
        f"{part} of the held-out sound lies farther from the bank than the bank's own sound does "
        "(the cover radius, 1 in the picture). "
    )
    words += (
        "That is much: the machine has more states than were heard, or the bank is too small."
        if share > MUCH_UNCOVERED
        else "The bank stands for what it did not hear, too."
    )
    svg = histogram(
        learnt.coverage, MOST_RADII, "distance in cover radii", "Held-out cells by distance"
    )
    drawn = page.chart(svg, "Distances of held-out patches to the nearest of the bank.")
    return (
        f"<section>{page.element('h2', 'What the bank covers')}{page.element('p', words)}"
        f"{drawn}</section>"
    )


def _name(path: str) -> str:
    return printable(path.rsplit("/", 1)[-1])
