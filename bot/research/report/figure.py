"""What a figure shows, without a word on how it is drawn: panels above each other on one horizontal axis.

Two modules draw these, `plotly_drawing` for the page and `png_drawing` for the files beside it. Nothing else knows
their libraries, so that a figure is described once and looks the same in both.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

PALETTE = ("#3b82f6", "#d97706", "#16a37a", "#c0569b", "#8b6fd8", "#78930f", "#8d6e63", "#dc4c4c")
"""Of arms, each to be told from the others and readable on white and on black; from the ninth on they are dashed."""
MUTED, SPREAD, DEPTH, CRISIS = -1, -2, -3, -4
_OF_MARKET = {MUTED: "#808890", SPREAD: "#8a5cc2", DEPTH: "#0e9aa7", CRISIS: "#dc4c4c"}


def colour_of(colour: int) -> str:
    """Return the colour of an arm by its place, or of one of the market's series."""
    return _OF_MARKET[colour] if colour < 0 else PALETTE[colour % len(PALETTE)]


def is_dashed_arm(colour: int) -> bool:
    """Tell whether an arm's line is dashed, because its colour is another's already."""
    return colour >= len(PALETTE)


def log_ticks(low: float, high: float) -> list[float]:
    """Return where a logarithmic axis has its marks: at 1, 2 and 5 of each decade, or at decades if they are many."""
    if not 0 < low <= high:
        return []
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [m * 10.0**d for d in decades for m in ((1,) if high / low > 200 else (1, 2, 5))]
    return [mark for mark in marks if low / 1.5 <= mark <= high * 1.5]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis. `is_time`: its numbers are UTC ns. `categories` name the places 0, 1, ... of it, first one on top."""

    title: str
    unit: str = ""
    is_time: bool = False
    is_log: bool = False
    categories: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def words(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line, steps, or points. Shapes: `x`, `y` (N,). Missing: NaN in `y` is a gap. `colour` as of `colour_of`."""

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: int = 0
    is_step: bool = False
    is_points: bool = False
    is_filled: bool = False
    is_dashed: bool = False
    is_strong: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """One part of stacked bars along the categories of a panel. Shapes: `lengths` (C,), negative ones to the left."""

    name: str
    lengths: np.ndarray
    colour: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Estimates with intervals, one a category. Shapes: all (C,). Missing: NaN.

    `is_telling` marks those that deserve to be seen, which is what `name` says: intervals that leave out 0, as a rule.
    """

    name: str
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    is_telling: np.ndarray
    colour: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """A grid of colours. Shapes: `x` (X,), `y` (Y,) the middles of cells, `z` (Y, X). Missing: NaN is left blank."""

    name: str
    unit: str
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray


def positive_range(columns: Iterable[np.ndarray]) -> tuple[float, float]:
    """Return the least and the greatest number above 0 of some arrays, for a logarithmic axis; NaN without any."""
    found = [column[np.isfinite(column) & (column > 0)] for column in columns]
    known = [column for column in found if len(column)]
    if not known:
        return math.nan, math.nan
    return min(float(column.min()) for column in known), max(float(column.max()) for column in known)


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """What stands on one vertical axis. `share` is its height among the panels'."""

    y: Axis
    drawn: tuple[Line | Bars | Intervals | HeatMap, ...]
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Shade:
    """A named stretch of the horizontal axis."""

    from_x: int
    to_x: int
    word: str


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """One figure.

    `name` is what its file is called; `sentence` says what to see in it, for those who see it and those who cannot;
    `note` what else is to be known, such as what was left out.
    """

    name: str
    title: str
    sentence: str
    x: Axis
    panels: tuple[Panel, ...]
    shades: tuple[Shade, ...] = ()
    note: str = ""
    wanted_px: int = 0

    @property
    def height_px(self) -> int:
        """How high it is on a screen."""
        if self.wanted_px:
            return self.wanted_px
        rows = max((len(panel.y.categories) for panel in self.panels), default=0)
        lines = 1 + max((name.count("\n") for panel in self.panels for name in panel.y.categories), default=0)
        return 130 + (6 + 15 * lines) * rows if rows else 180 + 150 * len(self.panels)
