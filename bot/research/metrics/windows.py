"""What happened to an arm inside spans of one kind: each span is one window, and one draw of a bootstrap."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bot.research.metrics.arm_run import ArmRun, Span
from bot.research.metrics.fill_shortfall import shortfall_of

WINDOW = np.dtype(
    [
        ("from_ns", np.int64),
        ("drawdown_frac", np.float64),
        ("loss_frac", np.float64),
        ("worst_slippage_bps", np.float64),
        ("fills", np.int64),
    ]
)
"""A window. Units: fractions of equity, drawdown of the peak since just before the window; `loss_frac` from just before
it to its last row, negative when it gained. What moved while a market was closed is in neither: a window that begins
with the opening begins at the opening's own row. Missing: `worst_slippage_bps` NaN without a fill of known cost."""

WindowFigure = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall from a peak. Units: UTC ns of the peak and of the trough. Missing: None where nothing fell."""

    depth_frac: float
    from_ns: int | None
    to_ns: int | None


def drawdown_of(time_ns: np.ndarray, equity: np.ndarray) -> Drawdown:
    """Return the deepest fall of equity from a peak, the first of several as deep. Shapes: both (T,).

    Missing: unknown equity is passed over; NaN where all of it is unknown.
    """
    known = np.isfinite(equity)
    time_ns, equity = time_ns[known], equity[known]
    if not len(equity):
        return Drawdown(math.nan, None, None)
    peak = np.maximum.accumulate(equity)
    depth = np.divide(peak - equity, peak, out=np.zeros(len(equity)), where=peak > 0)
    trough = int(np.argmax(depth))
    if not depth[trough] > 0:
        return Drawdown(0.0, None, None)
    top = int(np.argmax(equity[: trough + 1]))
    return Drawdown(float(depth[trough]), int(time_ns[top]), int(time_ns[trough]))


def windows_of(run: ArmRun, spans: Sequence[Span], kind: str) -> np.ndarray:
    """Return the windows of a kind in which the clock has rows, (W,) of `WINDOW`, in the order of the spans."""
    equity, costs, fills_ns = run.traded_equity, shortfall_of(run.fills), run.fills["time_ns"]
    found = []
    for span in spans:
        begin, end = np.searchsorted(run.time_ns, [span.from_ns, span.to_ns])
        if span.kind != kind or begin == end:
            continue
        inside = slice(max(int(begin) - 1, 0), int(end))
        path = equity[inside]
        slippage = costs.slippage_bps[(fills_ns >= span.from_ns) & (fills_ns < span.to_ns)]
        worst = float(np.nanmax(slippage)) if np.isfinite(slippage).any() else math.nan
        depth = drawdown_of(run.time_ns[inside], path).depth_frac
        loss = 1 - float(path[-1] / path[0]) if path[0] > 0 else math.nan
        found.append((span.from_ns, depth, loss, worst, len(slippage)))
    return np.array(found, WINDOW)


def mean_drawdown_frac(windows: np.ndarray, chosen: np.ndarray) -> float:
    """Return the mean over windows of the drawdown inside each."""
    return _mean(windows["drawdown_frac"][chosen])


def worst_drawdown_frac(windows: np.ndarray, chosen: np.ndarray) -> float:
    """Return the deepest of the windows' drawdowns."""
    return _largest(windows["drawdown_frac"][chosen])


def mean_loss_frac(windows: np.ndarray, chosen: np.ndarray) -> float:
    """Return the mean over windows of what was lost from begin to end; negative is a gain."""
    return _mean(windows["loss_frac"][chosen])


def worst_slippage_bps(windows: np.ndarray, chosen: np.ndarray) -> float:
    """Return the worst slippage of a fill in any of the windows; NaN without one."""
    return _largest(windows["worst_slippage_bps"][chosen])


WINDOW_FIGURES: Mapping[str, WindowFigure] = {
    figure.__name__: figure for figure in (mean_drawdown_frac, worst_drawdown_frac, mean_loss_frac, worst_slippage_bps)
}
"""Every figure of windows by its name; each takes windows (W,) and `chosen` (N,), places of those that count."""


def _mean(each: np.ndarray) -> float:
    return float(each.mean()) if len(each) else math.nan


def _largest(each: np.ndarray) -> float:
    known = each[np.isfinite(each)]
    return float(known.max()) if len(known) else math.nan
