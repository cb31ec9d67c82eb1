"""Arrays become pictures: axes in seconds and Hz, and outlines, drawn by Pillow alone."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from edge.frontend import hz_to_mel
from edge.pictures.colours import INK, OUTLINE, PAPER, palette

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge.pictures.colours import Legend, Pixels

    FloatArray = NDArray[np.float32]

TICKS_HZ = (100, 200, 500, 1_000, 2_000, 5_000, 10_000)
TICK_STEPS = (1, 2, 5)
SMALLEST_BOX_PX = 2
LEGEND_SHARE = 0.2  # of a picture's width


class Axes(NamedTuple):
    """What a panel spans: time linearly, frequency in mel."""

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float


class Outline(NamedTuple):
    """A box to draw."""

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    label: str = ""


class Layer(NamedTuple):
    """Coloured cells, and the time that they span."""

    pixels: Pixels
    start_s: float
    end_s: float


def largest(cells: FloatArray, most_columns: int) -> FloatArray:
    """The largest of neighbouring columns, so that no more than so many are left."""
    each = -(-len(cells) // most_columns)
    return np.maximum.reduceat(cells, np.arange(0, len(cells), each), axis=0)


def time_ticks(start_s: float, end_s: float, most: int) -> list[float]:
    """Round times within a span, at most so many."""
    span_s = max(end_s - start_s, 1e-3)
    decade = 10.0 ** np.floor(np.log10(span_s / most))
    steps = (factor * decade * ten for ten in (1, 10) for factor in TICK_STEPS)
    step_s = next(step for step in steps if span_s / step <= most)
    first = int(np.ceil(max(start_s, 0.0) / step_s - 1e-9))
    last = int(np.floor(end_s / step_s + 1e-9))
    return [round(i * step_s, 6) for i in range(first, last + 1)]


class Sheet:
    """A picture that grows downwards: lines of text, and panels one below the other."""

    def __init__(self, width_px: int, text_px: int) -> None:
        self._width, self._text = width_px, text_px
        self._font = ImageFont.load_default(text_px)
        self._parts: list[Image.Image] = []

    @property
    def plot_px(self) -> tuple[int, int]:
        """Left edge and width of every panel's plot."""
        left = round(3.2 * self._text)
        return left, self._width - left - round(1.4 * self._text)

    def write(self, line: str, scale: float = 1.0) -> None:
        """A line of text, cut where the picture ends."""
        size = round(self._text * scale)
        font = ImageFont.load_default(size)
        shown = "".join(c if c.isprintable() else "?" for c in line)
        room = self._width - self._text
        if font.getlength(shown) > room:
            while shown and font.getlength(shown + "...") > room:
                shown = shown[:-1]
            shown += "..."
        part = self._blank(round(1.5 * size))
        ImageDraw.Draw(part).text((self._text // 2, size // 4), shown, INK, font)
        self._parts.append(part)

    def panel(
        self,
        title: str,
        layer: Layer,
        axes: Axes,
        *,
        height_px: int,
        outlines: Sequence[Outline] = (),
        legend: Legend | None = None,
    ) -> None:
        """A plot with its axes: cells, and the outlines over them."""
        text, (left, width) = self._text, self.plot_px
        top = round(1.6 * text)
        part = self._blank(top + height_px + round(1.9 * text))
        draw = ImageDraw.Draw(part)
        plot = _Plot(axes, left, top, width, height_px)
        first, last = plot.x(layer.start_s), plot.x(layer.end_s)
        cells = Image.fromarray(np.ascontiguousarray(layer.pixels.transpose(1, 0, 2)[::-1]))
        size = (max(1, last - first), height_px)
        part.paste(cells.resize(size, Image.Resampling.BOX), (first, top))
        draw.rectangle((left - 1, top - 1, left + width, top + height_px), outline=INK)
        draw.text((left, text // 5), title, INK, self._font)
        if legend:
            self._draw_legend(part, draw, legend)
        self._draw_axes(draw, plot)
        for outline in reversed(outlines):  # the first lies on top
            self._draw_outline(draw, plot, outline)
        self._parts.append(part)

    def png(self) -> bytes:
        """The picture so far, in at most 256 colours."""
        whole = self._blank(sum(part.height for part in self._parts) + self._text // 2)
        y = 0
        for part in self._parts:
            whole.paste(part, (0, y))
            y += part.height
        buffer = io.BytesIO()
        _with_palette(whole).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()

    def _blank(self, height_px: int) -> Image.Image:
        return Image.new("RGB", (self._width, height_px), PAPER)

    def _draw_legend(self, part: Image.Image, draw: ImageDraw.ImageDraw, legend: Legend) -> None:
        left, width = self.plot_px
        text, length = self._text, round(LEGEND_SHARE * self._width)
        start = left + width - length - round(self._font.getlength(legend.high)) - text // 3
        cells = Image.fromarray(np.ascontiguousarray(legend.pixels.transpose(1, 0, 2)))
        strip = (start, text // 2, start + length, text // 2 + text // 2)
        part.paste(cells.resize((length, text // 2), Image.Resampling.NEAREST), strip[:2])
        draw.rectangle(strip, outline=INK)
        draw.text((start - text // 3, text // 5), legend.low, INK, self._font, anchor="ra")
        draw.text((left + width, text // 5), legend.high, INK, self._font, anchor="ra")

    def _draw_axes(self, draw: ImageDraw.ImageDraw, plot: _Plot) -> None:
        text, bottom = self._text, plot.top + plot.height
        draw.text((plot.left - text // 2, text // 5), "Hz", INK, self._font, anchor="ra")
        free_below = bottom + text
        for tick_hz in (t for t in TICKS_HZ if plot.axes.low_hz <= t <= plot.axes.high_hz):
            y = plot.y(tick_hz)
            draw.line((plot.left - text // 3, y, plot.left - 1, y), INK)
            if y + text // 2 <= free_below and y >= plot.top:
                label = f"{tick_hz // 1000}k" if tick_hz >= 1000 else f"{tick_hz}"  # noqa: PLR2004
                draw.text((plot.left - text // 2, y), label, INK, self._font, anchor="rm")
                free_below = y - text // 2
        most = max(2, round(plot.width / (4.5 * text)))
        for tick_s in time_ticks(plot.axes.start_s, plot.axes.end_s, most):
            x = plot.x(tick_s)
            draw.line((x, bottom, x, bottom + text // 3), INK)
            draw.text((x, bottom + text // 2), f"{tick_s:g} s", INK, self._font, anchor="ma")

    def _draw_outline(self, draw: ImageDraw.ImageDraw, plot: _Plot, box: Outline) -> None:
        left, right = plot.x(box.start_s), plot.x(box.end_s)
        top, bottom = plot.y(box.high_hz), plot.y(box.low_hz)
        right, bottom = max(right, left + SMALLEST_BOX_PX), max(bottom, top + SMALLEST_BOX_PX)
        # Around the event, not over it: in a long recording it is hardly wider than its outline.
        draw.rectangle((left - 3, top - 3, right + 3, bottom + 3), outline=PAPER, width=1)
        draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), outline=OUTLINE, width=2)
        if not box.label:
            return
        height = round(1.2 * self._text)
        width = round(self._font.getlength(box.label)) + self._text // 2
        left = min(left, plot.left + plot.width - width)
        above = top - height if top - height >= plot.top else top
        draw.rectangle((left, above, left + width, above + height), OUTLINE)
        middle = (left + self._text // 4, above + height // 2)
        draw.text(middle, box.label, PAPER, self._font, anchor="lm")


def _with_palette(image: Image.Image) -> Image.Image:
    """The same picture with a byte a pixel; Pillow's own search is not exact."""
    table = palette()
    packed = np.asarray(image).astype(np.int32) @ np.asarray([65_536, 256, 1], np.int32)
    found, places = np.unique(packed, return_inverse=True)
    channels = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)
    nearest = [int(np.square(table - channel).sum(axis=1).argmin()) for channel in channels]
    indices = np.asarray(nearest, np.uint8)[places].reshape(packed.shape)
    few = Image.fromarray(indices, "P")
    few.putpalette(table.astype(np.uint8).tobytes())
    return few


class _Plot(NamedTuple):
    """Where on a part of the sheet seconds and Hz lie."""

    axes: Axes
    left: int
    top: int
    width: int
    height: int

    def x(self, time_s: float) -> int:
        share = (time_s - self.axes.start_s) / max(self.axes.end_s - self.axes.start_s, 1e-9)
        return self.left + round(min(1.0, max(0.0, share)) * self.width)

    def y(self, frequency_hz: float) -> int:
        low, high, here = (float(hz_to_mel(f)) for f in (*self.axes[2:], frequency_hz))
        share = (here - low) / max(high - low, 1e-9)
        return self.top + round((1 - min(1.0, max(0.0, share))) * self.height)
