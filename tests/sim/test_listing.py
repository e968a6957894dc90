"""What a symbol is by its name: its class, its two assets, its hours."""

from pathlib import Path

import pytest

from bot.research.sources import open_sources
from bot.sim.listing import CRYPTO, FX, INDICES, METALS, WHOLE_WEEK, class_in, pair_in, recorded_symbol

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.mark.parametrize(
    ("name", "pair", "group", "is_guess"),
    [
        ("EURUSD", ("EUR", "USD"), FX, False),
        ("EURUSD.r", ("EUR", "USD"), FX, False),
        ("USDJPYm", ("USD", "JPY"), FX, False),
        ("EUR/USD", ("EUR", "USD"), FX, False),
        ("XAUUSD.r", ("XAU", "USD"), METALS, False),
        ("LTCUSD", ("LTC", "USD"), CRYPTO, False),
        ("DOGEUSD", ("DOGE", "USD"), CRYPTO, False),
        ("BTCUSDT", ("BTC", "USDT"), CRYPTO, False),
        ("XRPJPY_i", ("XRP", "JPY"), CRYPTO, False),
        ("BTCUSD_PERP", ("BTC", "USD"), CRYPTO, False),
        ("US500", None, INDICES, False),
        ("US30Cash", None, INDICES, True),
        ("USOILS", None, FX, True),
    ],
)
def test_a_name_says_class_and_assets_or_it_is_a_guess(
    name: str, pair: tuple[str, str] | None, group: int, is_guess: bool
) -> None:
    assert (pair_in(name), class_in(name)) == (pair, (group, is_guess))
    if pair is not None:
        spec = recorded_symbol(name, 3, group)
        assert (spec.base_asset, spec.quote_asset) == pair


@pytest.mark.parametrize(
    ("name", "price", "group", "zone", "digits", "note"),
    [
        ("EURUSD.r", 1.3, FX, "America/New_York", 5, ""),
        ("USDJPYm", 100.5, FX, "America/New_York", 3, ""),
        ("XAUUSD.r", 1300.5, METALS, "America/New_York", 1, ""),
        ("LTCUSD", 83.25, CRYPTO, "UTC", 2, ""),
        ("US30Cash", 16_500.5, INDICES, "America/New_York", 1, ", taken for Indices by a guess"),
    ],
)
def test_a_source_has_class_and_hours_by_its_name_and_says_where_it_guesses(
    name: str, price: float, group: int, zone: str, digits: int, note: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}_2014-05-10.parquet"
    pq.write_table(pa.table({"ts_us": [0, 1], "bid": [price] * 2, "ask": [price] * 2}), path)
    (source,) = open_sources([str(path)], [name])
    assert (source.spec.leverage_id, source.spec.schedule_time_zone, source.spec.digits) == (group, zone, digits)
    assert (source.spec.schedule == WHOLE_WEEK) == (group == CRYPTO)
    assert source.label == f"recorded quotes, semi-synthetic depth{note}"


def test_a_lot_of_a_cheap_coin_is_worth_about_ten_thousand_dollars() -> None:
    for name, price, coins in (
        ("LTCUSD", 83.0, 100),
        ("XRPJPY", 80.0, 10_000),
        ("BTCUSDT", 400.0, 1),
        ("ETHEUR", 9.0, 1),
    ):
        spec = recorded_symbol(name, 2, CRYPTO, price)
        assert (spec.lot_size_cents, spec.max_volume_cents) == (100 * coins, 10_000 * coins)
        assert spec.min_volume_cents == spec.step_volume_cents == coins
