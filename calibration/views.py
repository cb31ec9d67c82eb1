"""What is drawn of one scored recording: all of it, a moment, and the nearest normal sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.pictures.colours import evidence_colours, evidence_legend, sound_colours, sound_legend
from edge.pictures.images import Axes, Layer, Outline, Sheet, largest
from edge.pictures.spectrograms import Spectrogram, part_spectrogram, whole_spectrogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibration.moments import Moment
    from edge.bundle import Bundle
    from edge.recording import RecordingInfo
    from edge.scoring import Scored

AROUND_S = 3.0
MOST_COLUMNS = 1_200
PICTURE_PX, PICTURE_TEXT_PX, BAND_PX = 1_200, 18, 3
PAGE_PX, PAGE_TEXT_PX, PAGE_BAND_PX = 720, 20, 2


class View:
    """Draws everything of one recording in the same colours and the same frequencies.

    Args:
        bundle: what the recording was scored with.
        info: the recording.
        scored: what came of it.
        outlines: the boxes to draw, the most important first.
    """

    def __init__(
        self, bundle: Bundle, info: RecordingInfo, scored: Scored, outlines: Sequence[Outline]
    ) -> None:
        self._outlines = outlines
        self._manifest, self._info, self._scored = bundle.manifest, info, scored
        self._bands = scored.evidence.shape[1] * bundle.manifest.backbone.bands_per_row
        self._limit_hz = min(info.nyquist_hz, bundle.manifest.limit_hz)
        self._whole = whole_spectrogram(
            info,
            bundle.manifest.front_end,
            limit_hz=self._limit_hz,
            bands=self._bands,
            most_columns=MOST_COLUMNS,
        )
        self._bounds_db = self._whole.bounds_db()

    def whole(self, lines: Sequence[str], *, large: bool) -> bytes:
        """Spectrogram and map of all of it, as a PNG."""
        width, text = (PICTURE_PX, PICTURE_TEXT_PX) if large else (PAGE_PX, PAGE_TEXT_PX)
        sheet = Sheet(width, text)
        for number, line in enumerate(lines):
            sheet.write(line, 1.0 if number else 1.4)
        self._two_panels(
            sheet,
            self._whole,
            self._axes(0.0, self._info.duration_s),
            self._outlines,
            BAND_PX if large else PAGE_BAND_PX,
        )
        return sheet.png()

    def around(self, moment: Moment) -> bytes:
        """Spectrogram and map of a moment and the seconds around it, as a PNG."""
        start_s, end_s = self.span_s(moment)
        heard = self._part(self._info, start_s, end_s)
        sheet = Sheet(PAGE_PX, PAGE_TEXT_PX)
        near = [o for o in self._outlines if o.start_s < end_s and o.end_s > start_s]
        own = [moment.outline, *(o for o in near if o != moment.outline)]
        self._two_panels(sheet, heard, self._axes(start_s, end_s), own, PAGE_BAND_PX)
        return sheet.png()

    def normal(self, recording: RecordingInfo, at_s: float, moment: Moment) -> bytes:
        """As much of a calibration recording around its nearest patch, as a PNG."""
        start_s, end_s = self.normal_span_s(at_s, moment)
        heard = self._part(recording, start_s, end_s)
        low_hz, high_hz = self._scored.freq_edges_hz[moment.row : moment.row + 2]
        column_s = float(self._scored.time_edges_s[1])
        patch = Outline(at_s, at_s + column_s, float(low_hz), float(high_hz))
        sheet = Sheet(PAGE_PX, PAGE_TEXT_PX)
        sheet.panel(
            "Normal sound",
            self._layer(heard),
            self._axes(start_s, end_s),
            height_px=PAGE_BAND_PX * self._bands,
            outlines=[patch],
            legend=sound_legend(*self._bounds_db),
        )
        return sheet.png()

    def span_s(self, moment: Moment) -> tuple[float, float]:
        """A moment and the seconds around it, as far as there is sound."""
        start_s = max(0.0, moment.outline.start_s - AROUND_S)
        return start_s, min(self._info.duration_s, moment.outline.end_s + AROUND_S)

    def normal_span_s(self, at_s: float, moment: Moment) -> tuple[float, float]:
        """The same length of a recording, its patch where the moment has its peak."""
        start_s, end_s = self.span_s(moment)
        shift_s = at_s - moment.column * float(self._scored.time_edges_s[1])
        return start_s + shift_s, end_s + shift_s

    def _two_panels(
        self,
        sheet: Sheet,
        heard: Spectrogram,
        axes: Axes,
        outlines: Sequence[Outline],
        band_px: int,
    ) -> None:
        height_px = band_px * self._bands
        sheet.panel(
            "What was heard",
            self._layer(heard),
            axes,
            height_px=height_px,
            outlines=outlines,
            legend=sound_legend(*self._bounds_db),
        )
        column_s = float(self._scored.time_edges_s[1])
        first = int(axes.start_s / column_s)
        last = max(first + 1, round(axes.end_s / column_s))
        cells = largest(self._scored.evidence[first:last], sheet.plot_px[1])
        start_s, end_s = first * column_s, min(last, len(self._scored.evidence)) * column_s
        sheet.panel(
            "Evidence: coloured from 1, the alarm level",
            Layer(evidence_colours(cells), start_s, end_s),
            axes,
            height_px=height_px,
            outlines=outlines,
            legend=evidence_legend(),
        )

    def _part(self, recording: RecordingInfo, start_s: float, end_s: float) -> Spectrogram:
        return part_spectrogram(
            recording,
            self._manifest.front_end,
            (start_s, end_s),
            limit_hz=self._limit_hz,
            bands=self._bands,
            most_columns=MOST_COLUMNS,
        )

    def _layer(self, heard: Spectrogram) -> Layer:
        return Layer(sound_colours(heard.bands_db, *self._bounds_db), heard.start_s, heard.end_s)

    def _axes(self, start_s: float, end_s: float) -> Axes:
        edges_hz = self._scored.freq_edges_hz
        return Axes(start_s, end_s, float(edges_hz[0]), float(edges_hz[-1]))
