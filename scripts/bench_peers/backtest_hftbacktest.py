"""hftbacktest's whole backtest on the same rows: its exchange's book, its local book, the rule, and its order path.

How it works: rows are marked for the exchange and for the local side, with no feed latency between them; best quotes
pass its event loop as quotes of the best prices, which its books have no use for. Orders take a constant time each way
to an exchange that fills them whole at the best price: with the one that walks levels, what the local side is told of
an order that took several is the last of them only, so its position is not what was traded (release 2.4.4). The loop is
compiled, and advances from one whole second to the next. Prices and sizes are the rows' integers.
"""

import argparse
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_BBO_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    GTC,
    LOCAL_EVENT,
    MARKET,
    SELL_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
    event_dtype,
)
from numba import njit

from bench_peers import backtest_rule
from bench_peers.backtest_rule import LATENCY_NS, LEVELS, SECOND_NS
from bench_peers.timing import pin_to_one_core, tell, took_ns, write_figures

_BEST = 2
aim_cents = njit(backtest_rule.aim_cents)


def as_events(rows: np.ndarray) -> np.ndarray:
    """Return rows as its events, and one at the end that no second reaches."""
    events = np.zeros(len(rows) + 1, event_dtype)
    is_best = rows["what"] == _BEST
    events["ev"][:-1] = np.where(rows["side"] == 0, BUY_EVENT, SELL_EVENT) | EXCH_EVENT | LOCAL_EVENT
    events["ev"][:-1] |= np.where(is_best, DEPTH_BBO_EVENT, DEPTH_EVENT).astype(np.uint64)
    events["px"][:-1], events["qty"][:-1] = rows["price_e5"], rows["size_cents"]
    events["local_ts"][:-1] = rows["time_ns"]
    events["ev"][-1] = BUY_EVENT | DEPTH_BBO_EVENT | EXCH_EVENT | LOCAL_EVENT
    events["local_ts"][-1] = rows["time_ns"][-1] + 10 * SECOND_NS
    events["exch_ts"] = events["local_ts"]
    return events


@njit
def trade(backtest, seconds, sat_out, imbalances, positions):  # type: ignore[no-untyped-def]
    """Go from second to second; return how many orders were sent, or -1 when the data end early."""
    orders = 0
    if backtest.elapse(1) != 0:  # its clock is at the end of time until it has begun
        return -1
    for k in range(len(seconds)):
        if backtest.elapse(seconds[k] - backtest.current_timestamp) != 0:
            return -1
        backtest.clear_inactive_orders(0)
        depth = backtest.depth(0)
        bid = 0.0
        tick, found = depth.best_bid_tick, 0
        while found < LEVELS:
            size = depth.bid_qty_at_tick(tick)
            if size > 0:
                bid += size
                found += 1
            tick -= 1
        ask = 0.0
        tick, found = depth.best_ask_tick, 0
        while found < LEVELS:
            size = depth.ask_qty_at_tick(tick)
            if size > 0:
                ask += size
                found += 1
            tick += 1
        held = round(backtest.position(0))
        imbalances[k] = (bid - ask) / (bid + ask)
        positions[k] = held
        aim = held if sat_out[k] else aim_cents(imbalances[k], held)
        if aim > held:
            backtest.submit_buy_order(0, k + 1, depth.best_ask, aim - held, GTC, MARKET, False)
            orders += 1
        elif aim < held:
            backtest.submit_sell_order(0, k + 1, depth.best_bid, held - aim, GTC, MARKET, False)
            orders += 1
    return orders


class Run:
    """One backtest, ready to go."""

    def __init__(self, events: np.ndarray, tick_e5: float, seconds: np.ndarray, sat_out: np.ndarray) -> None:
        asset = (
            BacktestAsset()
            .data([events])
            .linear_asset(1.0)
            .constant_order_latency(LATENCY_NS, LATENCY_NS)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0, 0.0)
            .tick_size(tick_e5)
            .lot_size(1.0)
        )
        self.backtest = HashMapMarketDepthBacktest([asset])
        self.seconds, self.sat_out = seconds, sat_out
        self.imbalances, self.positions = np.full(len(seconds), np.nan), np.full(len(seconds), np.nan)
        self.orders = 0

    def __call__(self) -> None:
        """Run it."""
        self.orders = trade(self.backtest, self.seconds, self.sat_out, self.imbalances, self.positions)
        assert self.orders >= 0, "the data ended early"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--rows", "--sat-out", "--looks", "--figures"):
        parser.add_argument(name, type=Path, required=True)
    wanted = parser.parse_args()
    pin_to_one_core()
    rows, seconds, sat_out = (np.load(path) for path in (wanted.rows, wanted.looks, wanted.sat_out))
    given: tuple[Any, ...] = (as_events(rows), float(np.gcd.reduce(rows["price_e5"])), seconds, sat_out)
    Run(*given[:2], seconds[:5], sat_out[:5])()  # compiles
    run = Run(*given)
    took_s = took_ns(run) / 1e9
    figures = np.stack([run.imbalances, run.positions], axis=1).ravel()
    write_figures(wanted.figures, figures.tolist())
    told = {"looks": len(seconds), "orders": run.orders}
    tell({"rule": [took_s]}, {name: version(name) for name in ("hftbacktest", "numba")}, told={"rule": told})


if __name__ == "__main__":
    main()
