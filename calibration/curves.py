"""Small charts as inline SVG: bars, a histogram, and the tail of normal sound's scores."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge.tail import Tail

WIDTH, HEIGHT = 360, 220  # of a chart, in its own units: about pixels on a phone
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 34
BAR_HEIGHT, BAR_LEFT, BAR_RIGHT = 20, 176, 44
LONGEST_SCORE, STEPS = 1.5, 60
RAREST_SHOWN = 0.1  # of the rate that was asked for
INK, MARK, FILL, PALE = "#141414", "#d60050", "#2171b5", "#bbbbbb"


class Bar(NamedTuple):
    """One bar with its words."""

    label: str
    value: float
    strong: bool = True


def evidence_bars(bars: Sequence[Bar], description: str) -> str:
    """Horizontal bars of evidence, with the alarm level marked at 1."""
    most = max(1.25, *(bar.value for bar in bars))
    room = WIDTH - BAR_LEFT - BAR_RIGHT
    height = BAR_HEIGHT * len(bars) + 18
    alarm = BAR_LEFT + room / most
    parts = []
    for number, bar in enumerate(bars):
        y = BAR_HEIGHT * number
        width = room * max(0.0, bar.value) / most
        colour = (MARK if bar.value >= 1 else FILL) if bar.strong else PALE
        parts += [
            _text(BAR_LEFT - 6, y + 14, bar.label, "end", bold=bar.strong),
            f'<rect x="{BAR_LEFT}" y="{y + 3}" width="{width:.1f}" height="14" fill="{colour}"/>',
            _text(BAR_LEFT + width + 4, y + 14, f"{bar.value:.2f}", "start"),
        ]
    parts += [
        _line(alarm, 0, alarm, height - 16, INK, "4 3"),
        _text(alarm, height - 4, "1 = alarm", "middle"),
    ]
    return _svg(height, description, parts)


def upright_bars(values: Sequence[float], unit: str, description: str) -> str:
    """One upright bar a value, in their order; the axis begins below the smallest."""
    low = 10 * math.floor((min(values) - 3) / 10)
    high = 10 * math.ceil((max(values) + 1) / 10)
    plot = _Plot((0, len(values)), (low, high))
    wide = (WIDTH - LEFT - RIGHT) / len(values)
    parts = [
        f'<rect x="{plot.x(i) + 0.1 * wide:.1f}" y="{plot.y(value):.1f}" '
        f'width="{0.8 * wide:.1f}" height="{plot.y(low) - plot.y(value):.1f}" fill="{FILL}"/>'
        for i, value in enumerate(values)
    ]
    ticks = range(low, high + 1, 10 if high - low <= 60 else 20)  # noqa: PLR2004
    parts += [plot.y_tick(tick, f"{tick}") for tick in ticks]
    return _svg(HEIGHT, description, [*parts, plot.frame("recordings, in order", unit)])


def histogram(counts: Sequence[int], last_edge: float, unit: str, description: str) -> str:
    """Counts of equally wide bins from 0 to `last_edge`, with 1 marked; the last holds the rest."""
    total = max(1, sum(counts))
    shares = [100 * count / total for count in counts]
    plot = _Plot((0, last_edge), (0, max(shares) * 1.08))
    wide = last_edge / len(counts)
    parts = []
    for i, share in enumerate(shares):
        left, right = plot.x(i * wide), plot.x((i + 1) * wide)
        colour = FILL if (i + 1) * wide <= 1 + 1e-9 else MARK
        parts.append(
            f'<rect x="{left:.1f}" y="{plot.y(share):.1f}" width="{right - left - 0.5:.1f}" '
            f'height="{plot.y(0) - plot.y(share):.1f}" fill="{colour}"/>'
        )
    parts += [plot.x_tick(x, f"{x:g}") for x in np.arange(0, last_edge + 0.01, 0.5)]
    step = 10.0 ** math.floor(math.log10(max(shares)))
    parts += [plot.y_tick(t, f"{t:g}") for t in np.arange(0, max(shares) * 1.08, step)[:12]]
    parts.append(_line(plot.x(1), TOP, plot.x(1), HEIGHT - BOTTOM, INK, "4 3"))
    return _svg(HEIGHT, description, [*parts, plot.frame(unit, "% of cells")])


def tail_chart(tail: Tail, asked: float, interval: tuple[float, float], description: str) -> str:
    """How often a day normal sound reaches which score: counted, fitted, and extrapolated."""
    day_blocks = 86_400.0 / tail.block_s
    last = max(LONGEST_SCORE, tail.level_of(asked * RAREST_SHOWN))
    rarest = min(asked * RAREST_SHOWN, tail.per_day(last), interval[0] / 2)
    first = min(0.0, tail.levels[0])
    plot = _Plot((first, last), (math.log10(rarest), math.log10(2 * day_blocks)))
    shares = np.linspace(1.0, tail.share_above, len(tail.levels))
    shares = np.maximum(shares, 1.0 / tail.blocks)  # the largest score was heard once
    parts = [
        f'<circle cx="{plot.x(score):.1f}" cy="{plot.y(math.log10(share * day_blocks)):.1f}" '
        f'r="2.2" fill="{FILL}"/>'
        for score, share in zip(tail.levels, shares, strict=True)
    ]
    heard = max(tail.level_of(86_400.0 / (tail.block_s * tail.blocks)), tail.threshold)
    parts += [
        _curve(plot, tail.per_day, tail.threshold, min(heard, last), ""),
        _curve(plot, tail.per_day, heard, last, "5 4"),
        _line(plot.x(1), TOP, plot.x(1), HEIGHT - BOTTOM, INK, "2 3"),
        _line(
            LEFT, plot.y(math.log10(asked)), WIDTH - RIGHT, plot.y(math.log10(asked)), INK, "2 3"
        ),
    ]
    top, bottom = (plot.y(math.log10(max(rate, rarest))) for rate in reversed(interval))
    parts += [
        _line(plot.x(1), top, plot.x(1), bottom, MARK, width=4),
        _text(plot.x(1) - 5, TOP + 10, "alarm level", "end"),
        _text(WIDTH - RIGHT - 2, plot.y(math.log10(asked)) - 4, f"asked: {asked:g} a day", "end"),
    ]
    decades = range(math.ceil(math.log10(rarest)), math.floor(math.log10(2 * day_blocks)) + 1)
    parts += [plot.y_tick(d, f"{10.0**d:g}" if d < 4 else f"{10 ** (d - 3)}k") for d in decades]  # noqa: PLR2004
    step = 0.5 if last - first <= 3 else math.ceil((last - first) / 6)  # noqa: PLR2004
    parts += [plot.x_tick(x, f"{x:g}") for x in np.arange(math.ceil(first), last, step)]
    return _svg(HEIGHT, description, [*parts, plot.frame("score", "a day")])


class _Plot(NamedTuple):
    """What a chart spans."""

    across: tuple[float, float]
    upward: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.across
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / max(high - low, 1e-9)

    def y(self, value: float) -> float:
        low, high = self.upward
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / max(high - low, 1e-9)

    def x_tick(self, value: float, label: str) -> str:
        x, y = self.x(value), HEIGHT - BOTTOM
        return _line(x, y, x, y + 4, INK) + _text(x, y + 15, label, "middle")

    def y_tick(self, value: float, label: str) -> str:
        y = self.y(value)
        return _line(LEFT - 4, y, LEFT, y, INK) + _text(LEFT - 6, y + 4, label, "end")

    def frame(self, below: str, beside: str) -> str:
        y = HEIGHT - BOTTOM
        return "".join(
            [
                _line(LEFT, TOP, LEFT, y, INK),
                _line(LEFT, y, WIDTH - RIGHT, y, INK),
                _text((LEFT + WIDTH) / 2, HEIGHT - 4, below, "middle"),
                f'<text x="11" y="{(TOP + y) / 2:.0f}" text-anchor="middle" '
                f'transform="rotate(-90 11 {(TOP + y) / 2:.0f})">{html.escape(beside)}</text>',
            ]
        )


def _curve(
    plot: _Plot, rate: Callable[[float], float], first: float, last: float, dashes: str
) -> str:
    if last <= first:
        return ""
    lowest = 10.0 ** plot.upward[0]
    scores = [float(s) for s in np.linspace(first, last, STEPS) if rate(float(s)) >= lowest]
    points = " ".join(f"{plot.x(s):.1f},{plot.y(math.log10(rate(s))):.1f}" for s in scores)
    style = f'fill="none" stroke="{MARK}" stroke-width="2" stroke-dasharray="{dashes}"'
    return f'<polyline points="{points}" {style}/>'


def _svg(height: float, description: str, parts: Sequence[str]) -> str:
    label = html.escape(description)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{label}">'
        f"<title>{label}</title>{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}'
    return f"<text {place}>{html.escape(text)}</text>"


def _line(
    x1: float, y1: float, x2: float, y2: float, colour: str, dashes: str = "", width: float = 1
) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dashes}"/>'
