"""The newest fills of the account: what they cost beside what was predicted."""

import math
from collections import deque
from typing import Any

from bot.engine.decision import CountedDeal, Decision
from bot.telemetry.plain import iso_time, without_nan

FILLS_KEPT = 200
_BPS = 1e4


class FillLog:
    """The newest deals, as plain objects, oldest first; and the means of all of a run by symbol.

    Keys: `time`, `symbol`, `side`, `volume_cents`, `price`, `deal_id`, `client_order_id`, `cause`, `is_own`, `paper`,
    `decision_mid`, `predicted_bps`, `realised_bps`.
    Units: costs in bps of the mid that the order was decided at, positive against us.   Missing: None.
    """

    def __init__(self) -> None:
        self._fills: deque[dict[str, Any]] = deque(maxlen=FILLS_KEPT)
        self._sums: dict[str, list[float]] = {}

    def __call__(self, decision: Decision) -> None:
        """Take one Decision."""
        for counted in decision.deals:
            fill = without_nan(_fill(counted))
            self._fills.append(fill)
            if fill["predicted_bps"] is not None and fill["realised_bps"] is not None:
                sums = self._sums.setdefault(counted.symbol, [0.0, 0.0, 0.0, 0.0])
                error_bps = fill["realised_bps"] - fill["predicted_bps"]
                for i, term in enumerate((1.0, fill["predicted_bps"], fill["realised_bps"], error_bps * error_bps)):
                    sums[i] += term

    def newest(self, most: int = FILLS_KEPT) -> list[dict[str, Any]]:
        """Return the newest fills, oldest of them first."""
        return list(self._fills)[-most:]

    def slippage(self, symbol: str) -> dict[str, Any]:
        """Return the means of the run's fills that had a prediction: `fills`, `predicted_bps`, `realised_bps`, and
        `error_bps`, the root of the mean square of their difference; None without any."""
        count, predicted, realised, squares = self._sums.get(symbol, [0.0, math.nan, math.nan, math.nan])
        if not count:
            return {"fills": 0, "predicted_bps": None, "realised_bps": None, "error_bps": None}
        return {
            "fills": int(count),
            "predicted_bps": predicted / count,
            "realised_bps": realised / count,
            "error_bps": math.sqrt(squares / count),
        }


def _fill(counted: CountedDeal) -> dict[str, Any]:
    deal, mid = counted.deal, counted.decision_mid
    side = 1 if deal.volume_cents > 0 else -1
    realised = side * (deal.price - mid) / mid * _BPS if mid else None
    return {
        "time": iso_time(deal.executed_ns),
        "symbol": counted.symbol,
        "side": "buy" if side > 0 else "sell",
        "volume_cents": abs(deal.volume_cents),
        "price": deal.price,
        "deal_id": deal.deal_id,
        "client_order_id": counted.client_order_id,
        "cause": counted.cause,
        "is_own": counted.is_own,
        "paper": deal.paper,
        "decision_mid": mid,
        "predicted_bps": counted.predicted_bps,
        "realised_bps": realised,
    }
