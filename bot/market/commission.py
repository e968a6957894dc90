"""What a broker charges for a trade, as a share of its notional: a cost beside that of the book."""

import math

from bot.market.symbols import SymbolSpec

_BPS = 1e4


def commission_bps(spec: SymbolSpec, unit_usd: float, mid: float) -> float:
    """Return the commission of one side of a trade in bps of its notional; 0 where the broker states none.

    Units: `unit_usd` value of one base unit in USD; `mid` in quote currency.
    Missing: NaN when a price that is needed is unknown.
    Source: ProtoOASymbol.commissionType and preciseTradingCommissionRate: 1 USD a million USD, 2 USD a lot, 3 a
        percentage of the value, 4 quote currency a lot; charged on opening and on closing.
    """
    rate = spec.commission_rate
    if not rate or spec.commission_type is None:
        return 0.0
    lot_units = spec.lot_size_cents / 100
    match spec.commission_type:
        case "USD_PER_MILLION_USD":
            return _BPS * rate / 1e6
        case "PERCENTAGE_OF_VALUE":
            return _BPS * rate / 100
        case "USD_PER_LOT":
            return _BPS * rate / (lot_units * unit_usd) if unit_usd > 0 else math.nan
        case "QUOTE_CCY_PER_LOT":
            return _BPS * rate / (lot_units * mid) if mid > 0 else math.nan
        case _:
            return math.nan
