"""hftbacktest's event loop on the same changes: its market depth, then one imbalance an event, all compiled.

How it works: each symbol is an asset; the changes of an event share one time, so `elapse` applies them together. The
events are marked as local only, so that the exchange's side of its simulation costs nothing. Its book knows
price levels and no ids; in this stream they are the same thing.
"""

import argparse
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    LOCAL_EVENT,
    SELL_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
    event_dtype,
)
from numba import njit

from bench_peers.timing import pin_to_one_core, repeat, tell, write_figures

_STEP_NS = 1000


def asset_events(changes: np.ndarray, tick_sizes: np.ndarray) -> list[np.ndarray]:
    """Return the changes of each symbol as its events."""
    sides = np.where(changes["side"] == 0, BUY_EVENT, SELL_EVENT)
    found = []
    for symbol in range(len(tick_sizes)):
        own = changes["symbol"] == symbol
        # Its clock starts at the first event, and no step may reach the last: both are deletions of nothing.
        events = np.zeros(int(own.sum()) + 2, event_dtype)
        events["ev"] = BUY_EVENT | DEPTH_EVENT | LOCAL_EVENT
        events["px"] = tick_sizes[symbol]
        events["ev"][1:-1] = sides[own] | DEPTH_EVENT | LOCAL_EVENT
        events["px"][1:-1] = changes["price_e5"][own]
        events["qty"][1:-1] = changes["size_cents"][own]
        events["local_ts"][0] = _STEP_NS
        events["local_ts"][1:-1] = (changes["event"][own].astype(np.int64) + 2) * _STEP_NS
        events["local_ts"][-1] = (int(changes["event"][-1]) + 10) * _STEP_NS
        events["exch_ts"] = events["local_ts"]
        found.append(events)
    return found


@njit
def follow(backtest, symbols, imbalances):  # type: ignore[no-untyped-def]
    """Go through the events, and note the imbalance of the five best levels after each."""
    for event in range(len(symbols)):
        if backtest.elapse(_STEP_NS) != 0:
            return event
        depth = backtest.depth(symbols[event])
        bid = 0.0
        tick, found = depth.best_bid_tick, 0
        while found < 5:
            size = depth.bid_qty_at_tick(tick)
            if size > 0:
                bid += size
                found += 1
            tick -= 1
        ask = 0.0
        tick, found = depth.best_ask_tick, 0
        while found < 5:
            size = depth.ask_qty_at_tick(tick)
            if size > 0:
                ask += size
                found += 1
            tick += 1
        imbalances[event] = (bid - ask) / (bid + ask)
    return len(symbols)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=Path, required=True)
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--repetitions", type=int, required=True)
    wanted = parser.parse_args()
    pin_to_one_core()
    changes = np.load(wanted.changes)
    _, first = np.unique(changes["event"], return_index=True)
    symbols = changes["symbol"][first].astype(np.int64)
    prices = [changes["price_e5"][changes["symbol"] == s] for s in range(int(symbols.max()) + 1)]
    # Levels are a tick apart, so the search for the next level takes one step.
    ticks = np.array([np.gcd.reduce(each) for each in prices], np.float64)
    events = asset_events(changes, ticks)
    imbalances = np.full(len(symbols), np.nan)

    def fresh() -> Callable[[], None]:
        assets = [
            BacktestAsset()
            .data([own])
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0, 0.0)
            .tick_size(tick)
            .lot_size(1.0)
            for own, tick in zip(events, ticks, strict=True)
        ]
        backtest = HashMapMarketDepthBacktest(assets)

        def run() -> None:
            done = follow(backtest, symbols, imbalances)
            assert done == len(symbols), f"the event loop ended after {done} of {len(symbols)} events"

        return run

    rows = {"deltas": repeat(fresh, len(symbols), wanted.repetitions)}
    write_figures(wanted.figures, imbalances.tolist())
    tell(rows, {name: version(name) for name in ("hftbacktest", "numba")})


if __name__ == "__main__":
    main()
