"""A moment on the page: pictures, sounds, numbers, and the nearest normal sound beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibration import page
from calibration.curves import Bar, evidence_bars
from calibration.origins import Origin, Origins
from calibration.phrases import spoken_hz, spoken_rarity, spoken_time
from calibration.snippets import (
    HIGHEST_RATE_HZ,
    band_alone,
    common_gain_db,
    snippet,
    sound_between,
)

if TYPE_CHECKING:
    from calibration.moments import Moment
    from calibration.views import View
    from edge.bundle import Manifest
    from edge.recording import RecordingInfo
    from edge.scoring import Scored

AUDIO_BYTES = 4_000_000  # of all snippets of a page together
SNIPPETS_A_MOMENT, BYTES_A_SAMPLE = 3, 2
LEAD_S = 0.5  # heard before and after an event
LONGEST_SNIPPET_S = 12.0


class Sections:
    """Writes the sections of a page.

    Args:
        manifest: of the bundle that the recording was scored with.
        info: the recording.
        scored: what came of it.
        view: draws it.
        count: how many sections share the room for sounds.
    """

    def __init__(
        self, manifest: Manifest, info: RecordingInfo, scored: Scored, view: View, count: int
    ) -> None:
        self._info, self._scored, self._view, self._count = info, scored, view, count
        self._tail = manifest.thresholds.tail
        self._origins = Origins(manifest)
        self._column_s = float(scored.time_edges_s[1])

    def section(self, number: int, moment: Moment) -> str:
        """All about one moment."""
        is_event = self._scored.verdict.anomalous
        title = f"{number}. {moment.sentence}" if is_event else "The most unusual moment"
        origin = self._origins.of(moment.bank_row)
        heard, normal = self._listen(moment, origin)
        around = page.picture(
            self._view.around(moment),
            f"Spectrogram and evidence map around {spoken_time(moment.outline.start_s)}",
        )
        box = moment.outline
        rate = spoken_rarity(self._tail, moment.false_alarms_per_day)
        told = [
            ("when", f"{box.start_s:.2f} to {box.end_s:.2f} s"),
            ("band", f"{spoken_hz(box.low_hz)} to {spoken_hz(box.high_hz)}"),
            ("score", f"{moment.score:.2f} times the alarm level"),
            ("how rare", f"normal sound reaches this {rate}"),
            ("found by", found_by(moment)),
        ]
        return "\n".join(
            [
                '<section class="moment">',
                page.element("h2", title),
                "" if is_event else page.element("p", f"{moment.sentence}."),
                f'<div class="pair"><div>{page.element("h3", "This recording")}{around}{heard}',
                f"</div><div>{normal}</div></div>",
                f'<div class="pair"><div>{page.facts(told)}{_scales(moment)}</div>',
                f"<div>{_rows(moment)}</div></div></section>",
            ]
        )

    def _listen(self, moment: Moment, origin: Origin) -> tuple[str, str]:
        """Players of the moment, and picture and player of the nearest normal sound."""
        start_s, end_s = self._piece_s(moment)
        is_part = start_s > moment.outline.start_s or end_s < moment.outline.end_s
        heard = sound_between(self._info, start_s, end_s)
        band = band_alone(heard, moment.outline.low_hz, moment.outline.high_hz)
        if origin.recording is None:
            gain_db, normal = common_gain_db(heard), self._gone(origin)
        else:
            shift_s = origin.at_s - moment.column * self._column_s
            other = sound_between(origin.recording, start_s + shift_s, end_s + shift_s)
            gain_db = common_gain_db(heard, other)
            normal = "".join(
                [
                    self._nearest_title(origin),
                    page.picture(
                        self._view.normal(origin.recording, origin.at_s, moment),
                        f"Spectrogram of normal sound from {origin.name}",
                        "The same length of normal sound. The small box is the patch that is most "
                        "like the peak of this one.",
                    ),
                    page.player(snippet(other, gain_db), "Normal sound, equally amplified"),
                ]
            )
        low, high = spoken_hz(moment.outline.low_hz), spoken_hz(moment.outline.high_hz)
        players = page.player(
            snippet(heard, gain_db),
            f"Heard from {start_s:.2f} s to {end_s:.2f} s{', a part of it' if is_part else ''}",
        )
        alone = snippet(band, common_gain_db(band))
        return players + page.player(alone, f"The band from {low} to {high} alone"), normal

    def _piece_s(self, moment: Moment) -> tuple[float, float]:
        """What is heard of a moment: all of it and a little more, or what fits around its peak."""
        rate_hz = min(self._info.rate_hz, HIGHEST_RATE_HZ)
        share_s = AUDIO_BYTES / (self._count * SNIPPETS_A_MOMENT * BYTES_A_SAMPLE * rate_hz)
        longest_s = min(share_s, LONGEST_SNIPPET_S)
        box = moment.outline
        start_s = max(0.0, box.start_s - LEAD_S)
        end_s = min(self._info.duration_s, box.end_s + LEAD_S)
        if end_s - start_s > longest_s:
            is_whole = box.end_s - box.start_s <= longest_s
            peak_s = (moment.column + 0.5) * self._column_s
            middle_s = (box.start_s + box.end_s) / 2 if is_whole else peak_s
            start_s = min(max(start_s, middle_s - longest_s / 2), end_s - longest_s)
            end_s = start_s + longest_s
        return start_s, end_s

    def _nearest_title(self, origin: Origin) -> str:
        return page.element("h3", f"Nearest normal sound: {origin.name} at {origin.at_s:.2f} s")

    def _gone(self, origin: Origin) -> str:
        return self._nearest_title(origin) + page.element(
            "p", f"That recording can't be shown: {origin.missing}.", "note"
        )


def found_by(moment: Moment) -> str:
    """The scale that gave most evidence, in a phrase."""
    duration, against = moment.found_by.split(" / ")
    compared = "the seconds around" if against == "around" else "all normal sound"
    return f"an average over {duration}, compared with {compared}"


def _scales(moment: Moment) -> str:
    svg = evidence_bars(
        [Bar(name, value, name == moment.found_by) for name, value in moment.scales],
        "Largest evidence of each time scale",
    )
    return page.chart(
        svg,
        "Evidence by time scale: averages over so long, against all normal sound, or against the "
        "seconds around. In colour: the one that found it.",
    )


def _rows(moment: Moment) -> str:
    svg = evidence_bars([Bar(*row) for row in moment.rows], "Largest evidence of each row")
    return page.chart(svg, "Evidence by frequency. Grey rows are outside of the box.")
