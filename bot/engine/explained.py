"""Why a symbol's leverage is what it is: the line for a person, and the numbers that it is made of for a program."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bot.market.symbols import SymbolSpec
from bot.sizing.bound import Bound
from bot.sizing.explanation import explain


@dataclass(frozen=True, slots=True)
class Explanation:
    """One symbol at the last decision. `text` is the line, without the symbol's name.

    `leverage_wanted` is side x base x factors before any cap, `leverage_goal` what caps and crisis leave of it, and
    `leverage_target` what patience lets be traded to now. `cap` is the tightest of `caps`, and `cap_bound` which.
    Units: leverage signed, in equities; `caps` sizes without a sign; `factors` as the strategy names them;
        `half_band` half-width of the no-trade band, leverage.
    Missing: NaN unknown; a cap is infinite where there is none.
    """

    symbol: str
    text: str
    leverage_base: float
    leverage_wanted: float
    leverage_now: float
    leverage_goal: float
    leverage_target: float
    bound: Bound
    cap: float
    cap_bound: Bound
    half_band: float
    crisis_level: int
    caps: dict[str, float]
    factors: dict[str, float]


def explained(
    spec: SymbolSpec,
    market: np.void,
    factor_names: Sequence[str],
    factors: np.ndarray,
    row: np.void,
    *,
    base: float,
    held: float,
    max_symbol_leverage: float,
) -> Explanation:
    """Return the explanation of one symbol. Args: as of `bot.sizing.explanation.explain`, and the configured limit."""
    caps = {name: float(row[name]) for name in ("kelly", "stop_out", "exit_cost", "max_volume")}
    return Explanation(
        symbol=spec.name,
        text=explain(spec, market, factor_names, factors, row, base=base, held=held),
        leverage_base=base,
        leverage_wanted=float(row["wish"]),
        leverage_now=held,
        leverage_goal=float(row["goal"]),
        leverage_target=float(row["target"]),
        bound=Bound(int(row["bound"])),
        cap=float(row["cap"]),
        cap_bound=Bound(int(row["cap_bound"])),
        half_band=float(row["half_band"]),
        crisis_level=int(market["crisis_level"]),
        caps=caps | {"max_symbol_leverage": float(max_symbol_leverage)},
        factors=dict(zip(factor_names, map(float, factors), strict=True)),
    )
