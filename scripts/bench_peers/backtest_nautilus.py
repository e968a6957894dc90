"""NautilusTrader's BacktestEngine on the same rows: its venue's book, a strategy with a book of its own, the rule.

How it works: depth comes as `OrderBookDeltas`, best quotes as `QuoteTick`; all objects are built beforehand. The
strategy keeps a book of the compiled core and applies the deltas itself, as the project's own example in Rust does:
asking the book that the engine keeps for strategies makes an object of every level. A timer of the engine's clock
calls the rule each whole second. Orders reach the venue after the latency of its model, with the next message; its
answers take no time. No log, no fees, no margin, no analysis afterwards.
"""

import argparse
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.core import nautilus_pyo3 as native
from nautilus_trader.model.currencies import BTC, USD
from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas, QuoteTick
from nautilus_trader.model.enums import AccountType, BookAction, BookType, OmsType, OrderSide, RecordFlag
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from bench_peers.backtest_rule import LATENCY_NS, LEVELS, SECOND_NS, aim_cents
from bench_peers.timing import pin_to_one_core, tell, took_ns, write_figures

_VENUE = Venue("BENCH")
_ID = InstrumentId(Symbol("BTCUSD"), _VENUE)
_SIDES = (OrderSide.BUY, OrderSide.SELL)
_SET, _DELETE, _BEST = range(3)


def instrument() -> CurrencyPair:
    """Return BTCUSD with prices of two decimals and sizes of 0.01 coin."""
    return CurrencyPair(
        instrument_id=_ID,
        raw_symbol=_ID.symbol,
        base_currency=BTC,
        quote_currency=USD,
        price_precision=2,
        size_precision=2,
        price_increment=Price(0.01, 2),
        size_increment=Quantity(0.01, 2),
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
        maker_fee=Decimal(0),
        taker_fee=Decimal(0),
        ts_event=0,
        ts_init=0,
    )


def as_data(rows: np.ndarray) -> list[Any]:
    """Return rows as its objects, a message of depth as one object."""
    found: list[Any] = []
    deltas: list[OrderBookDelta] = []
    best: list[tuple[Price, Quantity] | None] = [None, None]
    known: set[tuple[int, int]] = set()
    one = Quantity(0.01, 2)
    listed = rows.tolist()
    for (time_ns, message, what, side, price_e5, size), after in zip(listed, [*listed[1:], None], strict=True):
        price = Price(price_e5 / 1e5, 2)
        is_last = after is None or after[1] != message
        if what == _BEST:
            best[side] = price, one  # our reader keeps no size of a best quote
            if is_last and best[0] and best[1]:
                found.append(QuoteTick(_ID, best[0][0], best[1][0], one, one, time_ns, time_ns))
            continue
        level = (side, price_e5)
        action = BookAction.DELETE if what == _DELETE else BookAction.UPDATE if level in known else BookAction.ADD
        (known.discard if what == _DELETE else known.add)(level)
        order = BookOrder(_SIDES[side], price, Quantity(size / 100, 2), 0)
        flags = RecordFlag.F_LAST if is_last else 0
        deltas.append(OrderBookDelta(_ID, action, order, flags, message, time_ns, time_ns))
        if is_last:
            found.append(OrderBookDeltas(_ID, deltas))
            deltas = []
    return found


class Imbalance(Strategy):
    """The rule, each whole second."""

    def take(self, seconds: list[int], sat_out: list[bool]) -> None:
        """Take the seconds to look at, one after the other."""
        self.seconds, self.sat_out = seconds, sat_out
        self.imbalances: list[float] = []
        self.positions: list[int] = []
        self.orders = 0
        self.book = native.OrderBook(native.InstrumentId.from_str(str(_ID)), native.BookType.L2_MBP)

    def on_start(self) -> None:
        """Subscribe, and set the timer."""
        self.subscribe_order_book_deltas(_ID, BookType.L2_MBP, managed=False, pyo3_conversion=True)
        self.subscribe_quote_ticks(_ID)
        start = datetime.fromtimestamp(self.seconds[0] // SECOND_NS - 1, UTC)
        self.clock.set_timer("look", timedelta(seconds=1), start_time=start, callback=self.on_second)

    def on_order_book_deltas(self, deltas: Any) -> None:
        """Follow the book."""
        self.book.apply_deltas(deltas)

    def on_second(self, event: Any) -> None:
        """Look at the book and trade."""
        k = len(self.imbalances)
        if k >= len(self.seconds) or event.ts_event < self.seconds[k]:
            return
        assert event.ts_event == self.seconds[k], f"look {k} comes at {event.ts_event}, not at {self.seconds[k]}"
        bid = sum(level.size() for level in self.book.bids(LEVELS))
        ask = sum(level.size() for level in self.book.asks(LEVELS))
        imbalance, held = (bid - ask) / (bid + ask), round(float(self.portfolio.net_position(_ID)) * 100)
        self.imbalances.append(imbalance)
        self.positions.append(held)
        aim = held if self.sat_out[k] else aim_cents(imbalance, held)
        if aim != held:
            side = OrderSide.BUY if aim > held else OrderSide.SELL
            self.submit_order(self.order_factory.market(_ID, side, Quantity(abs(aim - held) / 100, 2)))
            self.orders += 1


def new_engine(data: list[Any], seconds: list[int], sat_out: list[bool]) -> tuple[BacktestEngine, Imbalance]:
    """Return an engine with its data, and its strategy."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=False, max_order_submit_rate="100000/00:00:01"),
            run_analysis=False,
        )
    )
    engine.add_venue(
        _VENUE,
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money(10_000_000, USD)],
        base_currency=USD,
        default_leverage=Decimal(30),
        latency_model=LatencyModel(base_latency_nanos=LATENCY_NS),
        book_type=BookType.L2_MBP,
    )
    engine.add_instrument(instrument())
    engine.add_data(data, sort=False)
    strategy = Imbalance()
    strategy.take(seconds, sat_out)
    engine.add_strategy(strategy)
    return engine, strategy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--rows", "--sat-out", "--looks", "--figures"):
        parser.add_argument(name, type=Path, required=True)
    wanted = parser.parse_args()
    pin_to_one_core()
    rows, seconds, sat_out = np.load(wanted.rows), np.load(wanted.looks).tolist(), np.load(wanted.sat_out).tolist()
    data = as_data(rows)
    warm, _ = new_engine(data[:2_000], seconds[:2], sat_out[:2])
    warm.run()
    warm.dispose()
    engine, strategy = new_engine(data, seconds, sat_out)
    took_s = took_ns(engine.run) / 1e9
    assert engine.iteration == len(data), f"it went through {engine.iteration} of {len(data)} messages"
    pairs = zip(strategy.imbalances, strategy.positions, strict=True)
    write_figures(wanted.figures, [figure for pair in pairs for figure in pair])
    told = {"looks": len(strategy.imbalances), "orders": strategy.orders}
    tell({"rule": [took_s]}, {"nautilus_trader": version("nautilus_trader")}, told={"rule": told})


if __name__ == "__main__":
    main()
