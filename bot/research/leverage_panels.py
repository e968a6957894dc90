"""Stretches of a run over ticks as short columns of figures, a row a step, ready to be drawn.

How it works: within a step the widest spread, the highest crisis level, and the last leverage count; a step in which
nothing happened repeats the one before it, and has no spread.
"""

from dataclasses import dataclass

import numpy as np

from bot.research.recordings import Quotes

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a picture shows. Units: times UTC ns, `step_s` seconds; `marks` are (time, word) of scheduled moments."""

    name: str
    title: str
    recording: str
    from_ns: int
    to_ns: int
    step_s: int = 1
    marks: tuple[tuple[int, str], ...] = ()


def columns(stretch: Stretch, records: np.ndarray, quotes: Quotes) -> dict[str, list[float | None]]:
    """Return seconds since the beginning, spread and usual spread in bps, leverage wanted and held, and the level.

    Args: `records` (N,) of `RECORD` of one symbol, in the order of time.
    Missing: None where nothing is known.
    """
    steps = -(-(stretch.to_ns - stretch.from_ns) // (stretch.step_s * _SECOND_NS))
    found = {"time_s": (np.arange(steps) * float(stretch.step_s))}
    inside = (quotes.time_ns >= stretch.from_ns) & (quotes.time_ns < stretch.to_ns)
    found["spread_bps"] = _greatest(_places(stretch, quotes.time_ns[inside]), quotes.spread_bps[inside], steps)
    last = np.searchsorted(records["time_ns"], stretch.from_ns + _ends_ns(stretch, steps), side="left") - 1
    for name, field in (("usual_bps", "usual_spread_bps"), ("wanted", "goal"), ("held", "held")):
        found[name] = np.where(last >= 0, records[field][np.maximum(last, 0)], np.nan)
    within = (records["time_ns"] >= stretch.from_ns) & (records["time_ns"] < stretch.to_ns)
    highest = _greatest(_places(stretch, records["time_ns"][within]), records["level"][within], steps)
    standing = np.where(last >= 0, records["level"][np.maximum(last, 0)], np.nan)
    found["level"] = np.where(np.isnan(highest), standing, highest)
    return {name: [None if x != x else float(x) for x in column.tolist()] for name, column in found.items()}


def _places(stretch: Stretch, time_ns: np.ndarray) -> np.ndarray:
    return np.asarray((time_ns - stretch.from_ns) // (stretch.step_s * _SECOND_NS))


def _ends_ns(stretch: Stretch, steps: int) -> np.ndarray:
    return np.asarray((np.arange(steps) + 1) * stretch.step_s * _SECOND_NS)


def _greatest(places: np.ndarray, figures: np.ndarray, steps: int) -> np.ndarray:
    found = np.full(steps, -np.inf)
    np.maximum.at(found, places, figures)
    return np.where(np.isinf(found), np.nan, found)
