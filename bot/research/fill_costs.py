"""What our fills cost against mid, and what they were for: a cut in a crisis, the way back, or the market's noise.

How it works: fills are told in the order they happen. What a crisis has cut is a debt; purchases after it are the way
back until the debt is paid, or until something is sold for another reason: then the position has found its level.
Everything that is neither of these, nor the first build-up, is noise, whatever may have been behind it: that way the
figure for noise is too high rather than too low.
"""

import numpy as np

OPENING, CRISIS_CUT, REBUILD, NOISE = range(4)
TAGS = ("opening", "crisis cut", "rebuild", "noise")
"""What a fill was for; their places are the numbers above."""

FILL = np.dtype(
    [
        ("time_ns", np.int64),
        ("symbol", np.int64),
        ("units", np.float64),
        ("price", np.float64),
        ("mid", np.float64),
        ("level", np.int64),
        ("held_before", np.float64),
        ("held_after", np.float64),
        ("cost_bps", np.float64),
        ("tag", np.int64),
    ]
)
"""One part of a fill. Units: `units` signed base units; leverage in equities; `cost_bps` of equity, below 0 where a
crossed quote paid us; `level` the crisis level at the time."""


class FillTags:
    """Tells what each fill of one symbol was for."""

    def __init__(self) -> None:
        self._debt = 0.0
        self._is_opening = True

    def split(self, held_before: float, held_after: float, level: int) -> list[tuple[int, float]]:
        """Return the tags of a fill with the share of each in it.

        Args: leverage before and after it; the crisis level at the time.
        """
        grown = abs(held_after) - abs(held_before)
        if grown <= 0:
            self._is_opening = False
            if level >= 1:
                self._debt -= grown
                return [(CRISIS_CUT, 1.0)]
            self._debt = 0.0
            return [(NOISE, 1.0)]
        if self._is_opening:
            return [(OPENING, 1.0)]
        back = min(grown, self._debt)
        self._debt -= back
        shares = [(REBUILD, back / grown), (NOISE, 1.0 - back / grown)]
        return [(tag, share) for tag, share in shares if share > 0]


def cost_bps(units: float, price: float, mid: float, quote_rate: float, equity: float) -> float:
    """Return what a fill cost against mid in bps of equity.

    Units: `units` signed base units; `quote_rate` quote currency in deposit currency; `equity` in deposit currency.
    """
    return 1e4 * units * (price - mid) * quote_rate / equity


def per_day(fills: np.ndarray, tag: int) -> dict[int, tuple[float, float]]:
    """Return turnover (in equities) and cost (bps of equity) of the fills with a tag, by day since 1970-01-01, UTC.

    A fill that a crossed quote paid us for costs nothing: nobody should count on that.
    Shapes: `fills` (N,) of `FILL`.
    """
    days = fills["time_ns"] // 86_400_000_000_000
    found = {}
    for day in np.unique(days).tolist():
        of_day = fills[(days == day) & (fills["tag"] == tag)]
        turnover = np.abs(of_day["held_after"] - of_day["held_before"]).sum()
        found[day] = (float(turnover), float(np.maximum(of_day["cost_bps"], 0.0).sum()))
    return found
