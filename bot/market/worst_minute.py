"""The worst minute over runs: what is kept of it beside the usual values, and how it is read again.

A worst minute is worth something once it has been looked for long enough, so both are kept: a restart need not wait.
Nothing fades while no run is there: what is kept is too large rather than too small.
"""

import math
from collections.abc import Mapping

_WORST, _WATCHED = "worst_minute_bps", "worst_minute_watched_s"


def kept_worst_minute(worst_bps: float, watched_s: float) -> dict[str, object]:
    """Return what is kept, as plain numbers. Units: bps of the mid; seconds of whole minutes. NaN becomes None."""
    return {_WORST: worst_bps if math.isfinite(worst_bps) else None, _WATCHED: watched_s}


def read_worst_minute(content: Mapping[str, object]) -> tuple[float, float]:
    """Return (worst minute in bps, how long it has been looked for in s) of what an earlier run has kept.

    Missing: (NaN, 0) where there is none, as in what older versions have kept.
    Raises: ValueError, one line, for content of another form.
    """
    if _WORST not in content and _WATCHED not in content:
        return math.nan, 0.0
    worst, watched = content.get(_WORST), content.get(_WATCHED)
    return math.nan if worst is None else _size(_WORST, worst), _size(_WATCHED, watched)


def _size(name: str, content: object) -> float:
    if isinstance(content, bool) or not isinstance(content, int | float) or not 0 <= content < math.inf:
        raise ValueError(f"its {name} is {content!r}")
    return float(content)
