"""What an account gained or lost while a market that it held something of was closed.

How it works: where the clock has no rows nothing was traded at all, and whatever the first row after shows is of closed
hours. A symbol that rests while others trade, as gold does when currencies open an hour before it, shows in its mid: it
stood still through hours that its schedule calls closed, and the move that ends that, times what was held, is of closed
hours. A market that was silent in its own hours was open.
"""

from collections.abc import Sequence

import numpy as np

from bot.market.hours import SymbolHours
from bot.research.metrics.arm_run import GAP_NS, ArmRun


def closed_growth(run: ArmRun, mids: np.ndarray, hours: Sequence[SymbolHours]) -> np.ndarray:
    """Return what equity was multiplied by in closed hours, up to each row, (T,).

    Args: `hours` of the symbols, in their order; of none of them nothing but the clock's own gaps is known.
    Shapes: `mids` (T, S). Missing: NaN, taken for a mid that stands still.
    """
    share = np.zeros(len(run.time_ns))
    for s, each in enumerate(hours):
        for before, row in _openings(run.time_ns, mids[:, s], each):
            share[row] += run.leverage[row - 1, s] * (mids[row, s] / mids[before, s] - 1)
    growth = np.where(run.is_after_gap, run.growth, 1 + share)
    return np.cumprod(np.where(growth > 0, growth, 1.0))


def _openings(time_ns: np.ndarray, mid: np.ndarray, hours: SymbolHours) -> list[tuple[int, int]]:
    """Return the last move before each time that a symbol was closed, and the first after it, as rows."""
    known = np.flatnonzero(np.isfinite(mid))
    if not len(known):
        return []
    moved = known[np.append(True, np.diff(mid[known]) != 0)]
    long = np.flatnonzero(np.diff(time_ns[moved]) > GAP_NS)
    found = [(int(moved[i]), int(moved[i + 1])) for i in long]
    return [each for each in found if _closes(hours, *(int(time_ns[row]) for row in each))]


def _closes(hours: SymbolHours, from_ns: int, until_ns: int) -> bool:
    if not hours.is_open(from_ns):
        return hours.is_open(from_ns) is False
    closing_ns = hours.next_change_ns(from_ns)
    return closing_ns is not None and closing_ns < until_ns
