"""Explaining a recording: why there was an alarm, or none, as a page and a picture.

Memory is bounded by the map of the recording, not by its sound: the whole is shown from pooled
columns, and only the strongest events are read again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calibration import page
from calibration.moment_section import Sections
from calibration.moments import MOST_SHOWN, moments, strongest
from calibration.phrases import (
    plural,
    printable,
    spoken_hz,
    spoken_rarity,
    spoken_time,
    spoken_utc,
)
from calibration.views import View
from edge.errors import EarpatchError
from edge.pictures.images import Outline
from edge.progress import track
from edge.recording import recording_info
from edge.scoring import score_recording

if TYPE_CHECKING:
    from pathlib import Path

    from edge.bundle import Bundle
    from edge.events import Event
    from edge.recording import RecordingInfo
    from edge.scoring import Scored

MOST_LISTED = 200


@dataclass(frozen=True)
class Explained:
    """What was written, and about what."""

    page: Path
    picture: Path
    events: list[Event]  # the strongest first
    note: str | None


def explain(bundle: Bundle, path: Path, folder: Path) -> Explained:
    """Score a recording and write `<stem>.html` and `<stem>.png`.

    Raises:
        RecordingError: the recording can't be read to its end, or is too short.
        EarpatchError: the folder can't be written.
    """
    _make_folder(folder)
    info = recording_info(path)
    scored = score_recording(bundle, path)
    explanation = _Explanation(bundle, info, scored)
    picture, document = folder / f"{path.stem}.png", folder / f"{path.stem}.html"
    page.write(picture, explanation.picture())
    page.write(document, explanation.document().encode())
    return Explained(document, picture, strongest(scored.verdict.events), scored.note)


class _Explanation:
    """Puts a page and a picture together."""

    def __init__(self, bundle: Bundle, info: RecordingInfo, scored: Scored) -> None:
        self._manifest, self._info, self._scored = bundle.manifest, info, scored
        self._learnt_s = sum(r.duration_s for r in bundle.manifest.recordings)
        self._events = strongest(scored.verdict.events)
        self._moments = moments(scored, bundle.manifest.thresholds, self._learnt_s)
        outlines = [moment.outline for moment in self._moments] + [
            Outline(e.start_s, e.end_s, e.low_hz, e.high_hz) for e in self._events[MOST_SHOWN:]
        ]
        self._view = View(bundle, info, scored, outlines)

    def picture(self) -> bytes:
        return self._view.whole(
            [printable(self._info.path.name), self._verdict(), self._facts_line()],
            large=True,
        )

    def document(self) -> str:
        name = printable(self._info.path.name)
        kind = "alarm" if self._scored.verdict.anomalous else "normal"
        parts = [
            f"<header>{page.element('h1', name)}",
            page.element("p", self._verdict(), f"verdict {kind}"),
            page.element("p", self._in_words()),
            page.element("p", self._scored.note, "note") if self._scored.note else "",
            page.element("p", self._facts_line(), "small") + "</header>",
            page.picture(self._view.whole([], large=False), self._described()),
        ]
        count = len(self._moments)
        sections = Sections(self._manifest, self._info, self._scored, self._view, count)
        shown = track(self._moments, "Drawing", count, "events")
        parts += [sections.section(number, moment) for number, moment in enumerate(shown, 1)]
        parts += [self._others(), self._footer()]
        return page.page(f"{name}: {self._verdict()}", parts)

    def _verdict(self) -> str:
        verdict = self._scored.verdict
        if not verdict.anomalous:
            return f"normal, score {verdict.score:.2f} (1 is the alarm level)"
        found = plural(len(verdict.events), "event")
        return f"ANOMALOUS: {found}, score {verdict.score:.2f} (1 is the alarm level)"

    def _in_words(self) -> str:
        verdict = self._scored.verdict
        rate = spoken_rarity(self._manifest.thresholds.tail, verdict.false_alarms_per_day)
        if verdict.anomalous:
            return f"Normal sound of this machine would reach such a score {rate}."
        return f"Nothing in it reaches the alarm level. Normal sound reaches this score {rate}."

    def _facts_line(self) -> str:
        info = self._info
        return (
            f"{spoken_time(info.duration_s)}, {info.rate_hz} Hz, {plural(info.channels, 'channel')}"
            f"; compared with {spoken_time(self._learnt_s)} of normal sound, "
            f"bundle {self._manifest.bundle_id}"
        )

    def _described(self) -> str:
        """What the picture of the whole shows, for who can't see it."""
        boxes = "; ".join(
            f"{n}: {spoken_time(m.outline.start_s)} to {spoken_time(m.outline.end_s)}, "
            f"{spoken_hz(m.outline.low_hz)} to {spoken_hz(m.outline.high_hz)}"
            for n, m in enumerate(self._moments, 1)
        )
        return f"Spectrogram and evidence map of the whole recording, with boxes. {boxes}"

    def _others(self) -> str:
        """A line for each event that is not shown in detail."""
        left = self._events[MOST_SHOWN:]
        if not left:
            return ""
        lines = "".join(
            page.element("li", f"{spoken_time(e.start_s)}, score {e.score:.2f}: "
                               f"{e.summary(self._learnt_s)}")
            for e in left[:MOST_LISTED]
        )  # fmt: skip
        more = len(left) - MOST_LISTED
        rest = page.element("p", f"And {plural(more, 'weaker event')}.") if more > 0 else ""
        title = f"Left out: {plural(len(left), 'weaker event')}"
        why = f"Only the {MOST_SHOWN} strongest are shown in detail."
        return (
            f"<section>{page.element('h2', title)}{page.element('p', why)}<ol>{lines}</ol>"
            f"{rest}</section>"
        )

    def _footer(self) -> str:
        return (
            "<footer><section>"
            + page.element("h2", "How to read this page")
            + page.element("p", HOW_TO_READ)
            + page.element("p", f"{self._manifest.created_by}; calibrated "
                                f"{spoken_utc(self._manifest.created_utc)}.")
            + "</section></footer>"
        )  # fmt: skip


HOW_TO_READ = (
    "The upper picture shows how loud each frequency was: the darker, the louder, in the same "
    "colours all over this page. The lower one shows how unusual that is for this machine at that "
    "frequency: grey is normal, colour reaches the alarm level. A box is an event. Loud is not the "
    "same as unusual: compare with the nearest normal sound, and listen to both. Whether an "
    "unusual sound means harm is for a person to say."
)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EarpatchError(f"{folder}: can't be made a folder ({error.strerror})") from None
