"""Charts as SVG text: data in, one `<svg>` element out, for a page's body or a file of its own.

No library, no script, nothing fetched. Colours are CSS variables that follow the reader's light or dark
theme; the title is what a screen reader says, and every mark names its own value under the pointer.
Shares are given as 0..1 and written in per cent where an axis says so.
"""

from __future__ import annotations

import html
import math
import re
import zlib
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

N_COLOURS = 6
_DASHES = ("", ' stroke-dasharray="7 3"', ' stroke-dasharray="2 3"')
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

_EM_PX = 7.0
"""Mean width of a character at 12 px; labels are given room by it, as no font can be asked."""

_LABEL_CHARACTERS = 26
"""Longest label beside a row; longer ones are cut, their full text is under the pointer."""

_WIDTH_PX = 460
_STYLE = """
.sc-chart{--sc-surface:#fff;--sc-ink:#1f2328;--sc-muted:#59636e;--sc-grid:#d9dee4;--sc-bad:#d1242f;
--sc-1:#0b62c4;--sc-2:#c2410c;--sc-3:#0f766e;--sc-4:#7c3aed;--sc-5:#8a6100;--sc-6:#be185d;
font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
@media (prefers-color-scheme:dark){.sc-chart{--sc-surface:#15191f;--sc-ink:#e6e9ee;--sc-muted:#9aa5b1;--sc-grid:#333b45;
--sc-bad:#f0645c;--sc-1:#6cb0ff;--sc-2:#ff9a5c;--sc-3:#4fd1b8;--sc-4:#b79bff;--sc-5:#e3b341;--sc-6:#ff7eb6}}
.sc-chart .surface{fill:var(--sc-surface)}.sc-chart text{fill:var(--sc-muted)}.sc-chart .ink{fill:var(--sc-ink)}
.sc-chart .title{fill:var(--sc-ink);font-weight:600;font-size:13px}
.sc-chart .grid{stroke:var(--sc-grid);fill:none}
.sc-chart .reference{stroke:var(--sc-muted);stroke-dasharray:3 3;fill:none}
.sc-chart .line{fill:none;stroke-width:2;stroke-linejoin:round}.sc-chart .whisker{stroke:var(--sc-ink);fill:none}
"""


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale from ``low`` to ``high``; what lies beyond is drawn at its edge.

    A ``log`` axis cannot show zero: ``edge`` is then what stands at its lower end instead of the number.
    Raises ValueError for a range that is empty, not finite, or not positive on a ``log`` axis.
    """

    label: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    percent: bool = False
    edge: str | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"axis {self.label!r}: expected low < high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"axis {self.label!r}: expected a log axis to begin above 0, got {self.low}")

    def share(self, value: float) -> float:
        """Where ``value`` lies between the ends, 0..1. Raises ValueError for NaN."""
        if math.isnan(value):
            raise ValueError(f"axis {self.label!r}: NaN has no place on it")
        value = min(max(value, self.low), self.high)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round numbers within the range: 1, 2 or 5 times a power of ten, or the powers alone."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found = [m * 10.0**d for d in decades for m in ((1, 2, 5) if len(decades) < 5 else (1,))]
            return [v for v in found if self.low * (1 - 1e-9) <= v <= self.high * (1 + 1e-9)]
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def text(self, value: float) -> str:
        return f"{value * 100:.3g}\u00a0%" if self.percent else f"{value:.4g}"


@dataclass(frozen=True, slots=True)
class Series:
    """A line ``y`` over ``x``; NaN leaves a gap. ``low`` and ``high`` shade its interval.

    Raises ValueError when the lengths differ.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None

    def __post_init__(self) -> None:
        lengths = {len(v) for v in (self.x, self.y, self.low, self.high) if v is not None}
        if len(lengths) > 1 or (self.low is None) != (self.high is None):
            raise ValueError(f"series {self.name!r}: expected equally many x, y, low and high")


@dataclass(frozen=True, slots=True)
class Mark:
    """A value on the x axis worth a dashed line, and what it is called."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its interval; ``old`` is what it was, ``note`` stands behind it."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    old: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of about ``p``, the ``share`` that came true with its interval, and how many there were."""

    p: float
    share: float
    n: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Box:
    """The rectangle that data is drawn in, in px, and its two scales."""

    left: float
    top: float
    right: float
    bottom: float
    x: Axis
    y: Axis

    def at(self, x: float, y: float) -> tuple[float, float]:
        right, up = self.x.share(x) * (self.right - self.left), self.y.share(y) * (self.bottom - self.top)
        return self.left + right, self.bottom - up


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x: Axis,
    y: Axis,
    marks: Sequence[Mark] = (),
    steps: bool = False,
    dots: bool = False,
) -> str:
    """Lines over a common scale; with ``steps`` each value holds until the next one's x."""
    box = _Box(54, 34, _WIDTH_PX - 26, 264, x, y)
    parts = [*_axes(box), *_marks(box, marks)]
    for i, s in enumerate(series):
        parts += _line(box, s, i, steps=steps, dots=dots)
    legend, height = _legend([s.name for s in series], left=box.left, top=box.bottom + 46)
    return _svg(title, _WIDTH_PX, box.bottom + 46 + height, [*parts, *legend])


def roc_chart(
    curves: Sequence[Series],
    *,
    title: str,
    n_street: int,
    highest_fpr: float = 1.0,
    marks: Sequence[Mark] = (),
) -> str:
    """Recall over false-positive rate near zero: ``x`` is the FPR, logarithmic down to one of ``n_street``.

    Zero false positives stand at the left edge. ``marks`` are the operating points.
    """
    low = min(0.5 / max(n_street, 1), highest_fpr / 10)
    x = Axis("streets flagged (FPR)", low, highest_fpr, log=True, percent=True, edge="0")
    y = Axis("rooms found (recall)", percent=True)
    return line_chart(curves, title=title, x=x, y=y, marks=marks, steps=True)


def reliability_chart(sets: Mapping[str, Sequence[Bin]], *, title: str) -> str:
    """What was predicted beside what came true, of one or several models; the diagonal is honest."""
    axis = Axis("share that is indoor", percent=True)
    box = _Box(54, 34, 354, 334, Axis("predicted p_indoor", percent=True), axis)
    parts = [*_axes(box), '<path class="reference" d="M54 334L354 34"/>']
    most = max((b.n for bins in sets.values() for b in bins), default=1)
    for i, (name, bins) in enumerate(sets.items()):
        colour, shift = _colour(i), 3.0 * i
        for b in bins:
            (x, y), (_, low), (_, high) = (box.at(b.p, v) for v in (b.share, b.low, b.high))
            said = f"{name}: {axis.text(b.p)} predicted, {axis.text(b.share)} of {b.n} true"
            radius = 2.5 + 5 * math.sqrt(b.n / most)
            whisker = f'<path stroke="{colour}" d="M{x + shift:.1f} {low:.1f}V{high:.1f}"/>'
            dot = f'<circle cx="{x + shift:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity=".75"/>'
            parts.append(_told(said, whisker, dot))
    legend, height = _legend(list(sets), left=box.left, top=box.bottom + 46, width=300)
    return _svg(title, box.right + 26, box.bottom + 46 + height, [*parts, *legend])


def bar_chart(bars: Sequence[Bar], *, title: str, x: Axis) -> str:
    """Horizontal bars with intervals as whiskers; a hollow diamond is the old value."""
    left, row_px = 16 + _room(b.label for b in bars), 24
    width = left + 250 + 24 + _room(b.note for b in bars)
    box = _Box(left, 36, left + 250, 36 + max(len(bars), 1) * row_px, x, Axis("", 0, 1))
    parts = _x_axis(box)
    for i, bar in enumerate(bars):
        parts += _bar(box, bar, middle=box.top + (i + 0.5) * row_px, note_px=box.right + 10)
    return _svg(title, width, box.bottom + 40, parts)


def heat_table(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    title: str,
    good: float,
    bad: float,
    digits: int = 3,
) -> str:
    """Numbers of so many ``digits`` in cells that redden from ``good`` to ``bad``; None stays empty.

    Raises ValueError unless ``values`` is one row of ``columns`` for each of ``rows``, and good is not bad.
    """
    if len(values) != len(rows) or any(len(v) != len(columns) for v in values):
        raise ValueError(f"heat table: expected {len(rows)} rows of {len(columns)} values")
    if good == bad:
        raise ValueError(f"heat table: expected good and bad to differ, got {good} twice")
    left, cell_w = 16 + _room(rows), max(58.0, *(len(c) * _EM_PX + 12 for c in columns), 0.0)
    parts = [_text(left + (j + 0.5) * cell_w, 50, c, anchor="middle") for j, c in enumerate(columns)]
    for i, (name, row) in enumerate(zip(rows, values, strict=True)):
        y = 58 + i * 24
        parts.append(_text(left - 8, y + 16, _short(name), anchor="end", klass="ink"))
        for j, value in enumerate(row):
            if value is None or not math.isfinite(value):
                continue
            badness, number = min(max((value - good) / (bad - good), 0.0), 1.0), f"{value:z.{digits}f}"
            cell = (
                f'<rect x="{left + j * cell_w + 1:.1f}" y="{y + 1}" width="{cell_w - 2:.1f}" height="22" rx="3" '
                f'fill="var(--sc-bad)" fill-opacity="{0.04 + 0.62 * badness:.2f}"/>'
            )
            written = _text(left + (j + 0.5) * cell_w, y + 16, number, anchor="middle", klass="ink")
            parts.append(_told(f"{name}, {columns[j]}: {number}", cell, written))
    return _svg(title, left + len(columns) * cell_w + 12, 58 + len(rows) * 24 + 12, parts)


def _svg(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    body = "".join(parts)
    width = max(width, 24 + len(title) * _EM_PX * 1.15)  # bold is wider
    # Several charts share a page: an id made from the content is unique there and the same in every run.
    name = f"sc-{zlib.crc32((_escape(title) + body).encode()):08x}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sc-chart" role="img" aria-labelledby="{name}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'style="max-width:100%;height:auto"><title id="{name}">{_escape(title)}</title><style>{_STYLE}</style>'
        f'<rect class="surface" width="{width:.0f}" height="{height:.0f}" rx="6"/>'
        f"{_text(12, 20, title, klass='title')}{body}</svg>\n"
    )


def xml_text(text: str) -> str:
    """Text without the characters that no XML may hold, even escaped."""
    return _NOT_XML.sub("\ufffd", text)


def _escape(text: str) -> str:
    return html.escape(xml_text(text))


def _told(said: str, *shapes: str) -> str:
    """Shapes that say what they are: to the pointer, and to who cannot see them."""
    return f"<g><title>{_escape(said)}</title>{''.join(shapes)}</g>"


def _text(x: float, y: float, text: str, *, anchor: str = "start", klass: str = "") -> str:
    named = f' class="{klass}"' if klass else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{_escape(text)}</text>'


def _upright(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<g transform="translate({x:.1f} {y:.1f}) rotate(-90)">{_text(0, 0, text, anchor=anchor)}</g>'


def _room(labels: Iterable[str]) -> float:
    """Width in px of the longest label, as far as labels are written out."""
    return min(max(map(len, labels), default=0), _LABEL_CHARACTERS) * _EM_PX


def _short(text: str, n: int = _LABEL_CHARACTERS) -> str:
    return text if len(text) <= n else text[: n - 1] + "…"


def _colour(i: int) -> str:
    return f"var(--sc-{i % N_COLOURS + 1})"


def _dash(i: int) -> str:
    # Shifted with every round of colours, so that no two of the first eighteen lines are alike.
    return _DASHES[(i + i // N_COLOURS) % len(_DASHES)]


def _x_axis(box: _Box) -> list[str]:
    edge = [] if box.x.edge is None else [(box.x.low, box.x.edge)]
    ticks = [(t, box.x.text(t)) for t in box.x.ticks() if not edge or box.x.share(t) > 0.09]
    parts = []
    for value, text in edge + ticks:
        x, _ = box.at(value, box.y.low)
        parts.append(f'<path class="grid" d="M{x:.1f} {box.top:.1f}V{box.bottom:.1f}"/>')
        parts.append(_text(x, box.bottom + 15, text, anchor="middle"))
    parts.append(_text((box.left + box.right) / 2, box.bottom + 32, box.x.label, anchor="middle"))
    return parts


def _axes(box: _Box) -> list[str]:
    parts = _x_axis(box)
    for value in box.y.ticks():
        _, y = box.at(box.x.low, value)
        parts.append(f'<path class="grid" d="M{box.left:.1f} {y:.1f}H{box.right:.1f}"/>')
        parts.append(_text(box.left - 6, y + 4, box.y.text(value), anchor="end"))
    return [*parts, _upright(12, (box.top + box.bottom) / 2, box.y.label, anchor="middle")]


def _marks(box: _Box, marks: Sequence[Mark]) -> Iterator[str]:
    for mark in marks:
        x, _ = box.at(mark.x, box.y.low)
        yield f'<path class="reference" d="M{x:.1f} {box.top:.1f}V{box.bottom:.1f}"/>'
        # Written upwards along the line: marks near each other stay apart.
        yield _upright(x - 4 if x > box.left + 16 else x + 14, box.bottom - 6, mark.label)


def _line(box: _Box, s: Series, index: int, *, steps: bool, dots: bool) -> Iterator[str]:
    colour = _colour(index)
    # NaN parts a line into runs; one of a single point would not show as a line.
    finite = groupby(range(len(s.x)), lambda i: math.isfinite(s.x[i]) and math.isfinite(s.y[i]))
    for run in [list(indices) for is_finite, indices in finite if is_finite]:
        points = [box.at(s.x[i], s.y[i]) for i in run]
        if s.low is not None and s.high is not None:
            there, back = (((i, s.high[i]) for i in run), ((i, s.low[i]) for i in reversed(run)))
            outline = "L".join("{:.1f} {:.1f}".format(*box.at(s.x[i], v)) for i, v in [*there, *back])
            yield f'<path fill="{colour}" fill-opacity=".15" d="M{outline}Z"/>'
        path = "M{:.1f} {:.1f}".format(*points[0])
        for x, y in points[1:]:
            path += f"H{x:.1f}V{y:.1f}" if steps else f"L{x:.1f} {y:.1f}"
        yield _told(s.name, f'<path class="line" stroke="{colour}"{_dash(index)} d="{path}"/>')
        for (x, y), i in zip(points, run, strict=True):
            if dots or len(run) == 1:
                said = f"{s.name}: {box.y.text(s.y[i])} at {box.x.text(s.x[i])}"
                yield _told(said, f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')


def _bar(box: _Box, bar: Bar, *, middle: float, note_px: float) -> list[str]:
    label = _text(box.left - 8, middle + 4, _short(bar.label), anchor="end", klass="ink")
    parts = [label, _text(note_px, middle + 4, _short(bar.note))]
    if bar.value is None or not math.isfinite(bar.value):
        return [*parts, _text(box.left + 6, middle + 4, "no figure")]
    said, (x, _) = f"{bar.label}: {box.x.text(bar.value)}", box.at(bar.value, 0)
    size = f'width="{max(x - box.left, 1):.1f}" height="14" rx="2"'
    shapes = [f'<rect x="{box.left:.1f}" y="{middle - 7:.1f}" {size} fill="{_colour(0)}" fill-opacity=".8"/>']
    if bar.low is not None and bar.high is not None:
        (low, _), (high, _) = box.at(bar.low, 0), box.at(bar.high, 0)
        said += f" [{box.x.text(bar.low)}, {box.x.text(bar.high)}]"
        shapes.append(f'<path class="whisker" d="M{low:.1f} {middle - 4:.1f}v8m0-4H{high:.1f}m0-4v8"/>')
    if bar.old is not None:
        old, _ = box.at(bar.old, 0)
        said += f", before {box.x.text(bar.old)}"
        shapes.append(
            f'<path d="M{old:.1f} {middle - 6:.1f}l6 6l-6 6l-6-6z" fill="var(--sc-surface)" '
            f'stroke="{_colour(1)}" stroke-width="2"/>'
        )
    return [*parts, _told(said, *shapes)]


def _legend(names: Sequence[str], *, left: float, top: float, width: float = 380) -> tuple[list[str], float]:
    """Swatches with names, wrapped to ``width``, and the height they take; nothing for a single name."""
    if len(names) < 2:
        return [], 0.0
    parts, x, y = [], left, top
    for i, name in enumerate(names):
        text = _short(name, 40)
        needed = 28 + len(text) * _EM_PX + 14
        if x > left and x + needed > left + width:
            x, y = left, y + 18
        parts.append(f'<path class="line" stroke="{_colour(i)}"{_dash(i)} d="M{x:.1f} {y:.1f}h20"/>')
        parts.append(_text(x + 26, y + 4, text, klass="ink"))
        x += needed
    return parts, y - top + 18
