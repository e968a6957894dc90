"""Round trips of orders as a ledger has measured them, and as the latency of a backtest."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from bot.config import Config, ConfigError
from bot.journal.kept import Aftermath, Intent, KeptDeal
from bot.journal.ledger import Ledger
from bot.journal.ledger_file import LedgerError
from bot.journal.ledger_reader import round_trips_ns
from bot.research.backtest.latency import Measured
from bot.trial_assumptions import conditions_of

MS, START = 1_000_000, 1_800_000_000_000_000_000


def a_deal(deal_id: int, order: str | None, recorded_ns: int) -> KeptDeal:
    return KeptDeal(
        deal_id, 10, 20, order, "EURUSD", True, "ours", 1_000_000, 0, 1.1, Decimal("-0.33"), None, None, None, None,
        None, recorded_ns - 3 * MS, recorded_ns, 1.09999, 0.05, 0.1, 11_000.0,
    )  # fmt: skip


def kept(folder: Path, orders: list[tuple[str, str, int, list[int]]]) -> Path:
    """Write a ledger of orders: id, order type, when made, and when each of its deals was told; ms."""
    path = folder / "ledger.sqlite3"
    ledger = Ledger(path)
    number = 0
    for name, order_type, made_ms, deals_ms in orders:
        ledger.record_intent(Intent(name, "r", 1, "open", 1_000_000, order_type, START + made_ms * MS))
        for deal_ms in deals_ms:
            number += 1
            ledger.record(Aftermath(START, deals=(a_deal(number, name, START + deal_ms * MS),)))
    ledger.record(Aftermath(START, deals=(a_deal(number + 1, None, START),)))  # by hand
    ledger.close()
    return path


ORDERS: list[tuple[str, str, int, list[int]]] = [
    ("r-2", "market_range", 1_000, [1_120, 1_080]),
    ("r-1", "market", 0, [40]),
    ("r-3", "market", 2_000, []),
    ("r-4", "limit", 3_000, [3_500]),
    ("r-5", "market", 4_000, [64_000]),
    ("r-6", "market", 5_000, [5_000]),
]


def test_a_round_trip_is_from_the_intent_of_a_market_order_to_its_first_deal(tmp_path: Path) -> None:
    assert round_trips_ns(kept(tmp_path, ORDERS), 30_000 * MS) == [40 * MS, 80 * MS]


def test_a_file_that_is_no_ledger_is_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"there is no ledger at .*; a run with mode: trade makes one"):
        round_trips_ns(tmp_path / "ledger.sqlite3", 1)
    (tmp_path / "other").write_bytes(b"x" * 4096)
    with pytest.raises(LedgerError, match="not a microlev ledger"):
        round_trips_ns(tmp_path / "other", 1)


def config_in(folder: Path) -> Config:
    return Config.model_validate(
        {
            "venue": {"environment": "simulator"},
            "symbols": {"EURUSD": {}},
            "state": {"directory": str(folder)},
            "backtest": {"latency": "ledger"},
        }
    )


def test_latency_ledger_draws_half_of_the_measured_round_trips(tmp_path: Path) -> None:
    kept(tmp_path, ORDERS)
    latency = conditions_of(config_in(tmp_path)).latency
    assert isinstance(latency, Measured)
    random = np.random.default_rng(1)
    assert {latency.draw_ns(random) for _ in range(50)} == {20 * MS, 40 * MS}


def test_latency_ledger_without_a_measurement_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"backtest\.latency: is 'ledger': there is no ledger at"):
        conditions_of(config_in(tmp_path))
    kept(tmp_path, ORDERS[2:4])
    with pytest.raises(ConfigError, match=r"backtest\.latency: is 'ledger', but no market order in .* write a time"):
        conditions_of(config_in(tmp_path))
