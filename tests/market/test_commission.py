"""The commission of a trade as a share of its notional, in each of the broker's four forms."""

import math
from dataclasses import replace

import pytest

from bot.market.commission import commission_bps
from bot.market.symbols import SymbolSpec

EURUSD = SymbolSpec(1, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, 100_000, 100_000, 10**12)


@pytest.mark.parametrize(
    ("kind", "rate", "bps"),
    [
        ("USD_PER_MILLION_USD", 30.0, 0.3),
        ("USD_PER_LOT", 3.3, 0.3),  # a lot of 100,000 EUR is 110,000 USD
        ("PERCENTAGE_OF_VALUE", 0.1, 10.0),
        ("QUOTE_CCY_PER_LOT", 4.4, 0.4),
        (None, 3.0, 0.0),
        ("USD_PER_LOT", None, 0.0),
        ("USD_PER_LOT", 0.0, 0.0),
    ],
)
def test_a_commission_in_bps(kind: str | None, rate: float | None, bps: float) -> None:
    spec = replace(EURUSD, commission_type=kind, commission_rate=rate)
    assert commission_bps(spec, unit_usd=1.1, mid=1.1) == pytest.approx(bps, rel=1e-12)


@pytest.mark.parametrize("kind", ["USD_PER_LOT", "QUOTE_CCY_PER_LOT", "SOMETHING_NEW"])
def test_a_commission_that_cannot_be_computed_is_unknown(kind: str) -> None:
    spec = replace(EURUSD, commission_type=kind, commission_rate=3.0)
    assert math.isnan(commission_bps(spec, unit_usd=math.nan, mid=math.nan))
