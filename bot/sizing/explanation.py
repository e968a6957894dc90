"""One line a symbol that says why its leverage is what it is, for a person.

    3.1x of 5x: depth covers 8 lots, liquidity 0.62 of usual, impact 1.4x usual, OBI +0.22, cap 30x (stop-out)

First what is wanted of the base leverage, or what is held meanwhile; then what the strategy went by; then the tightest
cap; last what holds it back.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from bot.market.symbols import SymbolSpec
from bot.sizing import formulas
from bot.sizing.bound import BOUND_WORDS, Bound

_NEAR = 0.01  # share of the base leverage; what differs by less is called the same
_NOTHING = 0.005  # leverage; what is shown with two decimals does not differ by less
_SLICED = "cut as the book takes it"


def explain(
    spec: SymbolSpec,
    market: np.void,
    factor_names: Sequence[str],
    factors: Sequence[float] | np.ndarray,
    row: np.void,
    *,
    base: float,
    held: float,
) -> str:
    """Return the explanation of one symbol.

    Args: `market` its record of the feature table; `factors` its strategy's, (F,); `row` its record of `Targets`.
    Units: `base` and `held` leverage; a number that is unknown is called so, or left out.
    """
    goal, bound = float(row["goal"]), Bound(int(row["bound"]))
    side = math.copysign(1.0, held if held and not math.isnan(held) else goal) if held or goal else 0.0
    parts = [
        _depth(spec, market, side),
        *(_factor(name, float(f), market, side) for name, f in zip(factor_names, factors, strict=True)),
    ]
    cap = float(row["cap"])
    if math.isfinite(cap):
        parts.append(f"cap {cap:.3g}x ({BOUND_WORDS[Bound(int(row['cap_bound']))]})")
    line = f"{_head(goal, float(row['target']), base, held)}: {', '.join(part for part in parts if part)}"
    why = _why(bound, int(market["crisis_level"]), row, base)
    return f"{line}; {why}" if why else line


def _head(goal: float, target: float, base: float, held: float) -> str:
    of, near = f"of {base:g}x", _near(base)
    if math.isnan(target):
        return f"unknown {of}"
    if math.isnan(goal):
        return f"holds {_times(target)} {of}" if abs(target - held) < near else f"to {_times(target)} {of}"
    if abs(target - goal) < near:
        return f"{_times(goal)} {of}"
    if abs(target - held) < near:
        return f"holds {_times(held)} {of}, wants {_times(goal)}"
    return f"to {_times(target)} {of}, wants {_times(goal)}"


def _near(base: float) -> float:
    return max(_NEAR * base, _NOTHING)


def _times(leverage: float) -> str:
    if abs(leverage) < _NOTHING:
        return "0x"
    return f"{leverage:.2f}x" if abs(leverage) < 1 else f"{leverage:.1f}x"


def _depth(spec: SymbolSpec, market: np.void, side: float) -> str:
    if market["is_spot_only"] > 0:
        return "no depth"
    units = float(market["buy_capacity_units" if side < 0 else "sell_capacity_units"])
    if math.isnan(units):
        return "depth unknown"
    lots = 100 * units / spec.lot_size_cents
    return f"depth covers {lots:.0f} lots" if lots >= 10 else f"depth covers {lots:.2g} lots"


def _factor(name: str, factor: float, market: np.void, side: float) -> str:
    """Return what a factor goes by, in the field's own terms, or the factor itself where it has no such term."""
    fact = _FACTS[name](market, side) if name in _FACTS else math.nan
    if math.isnan(factor):
        return f"{_NOUNS.get(name, name)} unknown"
    if name == "fill":
        return f"fills {factor:.2f}" if factor < 1 else ""
    if name == "imbalance" and market["is_spot_only"] > 0 and math.isnan(fact):
        return ""
    if math.isnan(fact):
        return f"{_NOUNS.get(name, name)} {factor:.2f}"
    return _PHRASES[name].format(fact)


def _impact_ratio(market: np.void, side: float) -> float:
    now = float(formulas.exit_impact_bps(side, market["buy_impact_bps"], market["sell_impact_bps"]))
    return _ratio(now, float(market["usual_impact_bps"]))


def _ratio(now: float, usual: float) -> float:
    return now / usual if usual > 0 else math.nan


_FACTS: dict[str, Callable[[np.void, float], float]] = {
    "liquidity": lambda market, side: float(market["liquidity_ratio"]),
    "impact": _impact_ratio,
    "imbalance": lambda market, side: float(market["obi_fast"]),
    "volatility": lambda market, side: _ratio(float(market["volatility_bps"]), float(market["usual_volatility_bps"])),
}
_PHRASES = {
    "liquidity": "liquidity {:.2f} of usual",
    "impact": "impact {:.1f}x usual",
    "imbalance": "OBI {:+.2f}",
    "volatility": "volatility {:.1f}x usual",
}
_NOUNS = {"imbalance": "OBI", "fill": "fills"}


def _why(bound: Bound, crisis_level: int, row: np.void, base: float) -> str:
    if bound is Bound.NONE:
        return ""
    words = BOUND_WORDS[bound]
    if bound <= Bound.MARGIN:
        if not row["forced"]:
            return f"limited by {words}"
        return f"above {words}, {'cut at once' if row['urgent'] else _SLICED}"
    if bound is Bound.CRISIS:
        kept = formulas.CRISIS_MULTIPLIERS[min(max(crisis_level, 0), 3)]
        left = f"{kept:g} of it is left" if kept else "closes"
        is_sliced = row["forced"] and not row["urgent"]
        return f"crisis level {crisis_level}: {left}{f', {_SLICED}' if is_sliced else ''}, no increase"
    if bound is Bound.BAND:
        if abs(float(row["goal"]) - float(row["target"])) < _near(base):
            return ""
        return f"{words} of {float(row['half_band']):.2g}x"
    if bound in (Bound.CALENDAR, Bound.NOT_READY, Bound.HANDS_OFF, Bound.UNKNOWN_CAP, Bound.UNKNOWN_FACTOR):
        return f"no increase: {words}"
    return words
