"""The market in its plainest form, dicts and the formulas of `features.py`: the oracle of the compiled loops."""

import math
from collections import Counter

import numpy as np

from bot.market import features as f
from bot.market.delta import (
    CLEAR_BOOK,
    DEPTH_ASK,
    DEPTH_BID,
    DEPTH_DELETE,
    END_DEPTH,
    END_SPOT,
    SPOT_ASK,
    SPOT_BID,
)
from bot.market.evaluator import EvaluatorSettings, Features

BID, ASK = 0, 1
Best = tuple[int, int]  # price in 1/100000, size in 0.01 unit


class NaiveBook:
    """Quotes by id; levels are added up anew whenever somebody asks."""

    def __init__(self) -> None:
        self.quotes: dict[int, tuple[int, int, int]] = {}
        self.counters: Counter[str] = Counter()

    def apply(self, kind: int, quote_id: int, price_e5: int, size_cents: int) -> None:
        if kind == DEPTH_DELETE:
            if self.quotes.pop(quote_id, None) is None:
                self.counters["unknown_deletes"] += 1
        elif kind in (DEPTH_BID, DEPTH_ASK):
            side = kind - DEPTH_BID
            old = self.quotes.get(quote_id)
            if old is not None and old[:2] != (side, price_e5):
                self.counters["repriced"] += 1
            self.quotes[quote_id] = (side, price_e5, size_cents)
        elif kind == CLEAR_BOOK:
            self.quotes.clear()

    def levels(self, side: int) -> list[Best]:
        sums: Counter[int] = Counter()
        for quote_side, price, size in self.quotes.values():
            if quote_side == side:
                sums[price] += size
        return sorted(sums.items(), reverse=side == BID)


class _Average:
    """Models 1.1 for one quantity."""

    def __init__(self, half_life_s: float) -> None:
        self.half_life_s = half_life_s
        self.mean, self.previous, self.last_ns = math.nan, math.nan, -1

    def move(self, x: float, now_ns: int) -> float:
        if not math.isfinite(x):
            return self.mean
        if self.last_ns < 0:
            self.mean = x
        else:
            self.mean = f.ewma_step(self.mean, self.previous, (now_ns - self.last_ns) / 1e9, self.half_life_s)
        self.previous, self.last_ns = x, max(now_ns, self.last_ns)
        return self.mean


class NaiveSymbol:
    """One symbol: its book, its spot prices, its averages, and its features as a dict."""

    def __init__(self, pip: float, reference_units: float, settings: EvaluatorSettings) -> None:
        self.pip, self.units, self.settings = pip, reference_units, settings
        self.book = NaiveBook()
        self.spot: dict[int, int] = {}
        self.spread = _Average(settings.spread_half_life_s)
        self.touch = _Average(settings.touch_size_half_life_s)
        self.usual_cost = _Average(settings.liquidity_base_half_life_s)
        self.ratio = _Average(settings.liquidity_smoothing_half_life_s)
        self.old: tuple[Best | None, Best | None] | None = None
        self.was_crossed = False
        self.flow, self.flow_ns = 0.0, -1
        self.features: dict[str, float] = {}

    def apply(self, kind: int, quote_id: int, price_e5: int, size_cents: int, now_ns: int) -> None:
        if kind in (SPOT_BID, SPOT_ASK):
            self.spot[kind - SPOT_BID] = price_e5
        elif kind == END_SPOT:
            self.book.counters["spot_events"] += 1
        elif kind == END_DEPTH:
            self.book.counters["depth_events"] += 1
            self._end_depth(now_ns)
        else:
            self.book.apply(kind, quote_id, price_e5, size_cents)
            if kind == CLEAR_BOOK:
                self.old, self.was_crossed, self.flow = None, False, 0.0

    def _end_depth(self, now_ns: int) -> None:
        bids, asks = self.book.levels(BID), self.book.levels(ASK)
        best = (bids[0] if bids else None, asks[0] if asks else None)
        crossed = bool(bids and asks and bids[0][0] > asks[0][0])
        flow = 0.0
        if self.old is not None and not crossed and not self.was_crossed:
            flow = f.order_flow(
                _float_best(self.old[0], -math.inf),
                _float_best(self.old[1], math.inf),
                _float_best(best[0], -math.inf),
                _float_best(best[1], math.inf),
            )
        self.flow = f.decayed_sum(self.flow, flow, self._since_flow_s(now_ns), self.settings.flow_half_life_s)
        self.old, self.was_crossed, self.flow_ns = best, crossed, max(now_ns, self.flow_ns)

    def _since_flow_s(self, now_ns: int) -> float:
        return (now_ns - self.flow_ns) / 1e9 if self.flow_ns >= 0 else 0.0

    def evaluate(self, now_ns: int) -> None:
        nan = math.nan
        out = dict.fromkeys((name for name in Features._fields if name != "reference_units"), nan)
        self.features = out
        if len(self.spot) == 2:
            out["bid"], out["ask"] = self.spot[BID] / 1e5, self.spot[ASK] / 1e5
            out["mid"], out["spread_bps"] = f.mid(out["bid"], out["ask"]), f.spread_bps(out["bid"], out["ask"])
        sides = [self.book.levels(BID), self.book.levels(ASK)]
        for side, name in ((BID, "depth_bid"), (ASK, "depth_ask")):
            if sides[side]:
                out[name] = sides[side][0][0] / 1e5
        if not (sides[BID] and sides[ASK]):
            if sides[BID] or sides[ASK]:
                out["obi"] = 1.0 if sides[BID] else -1.0
            return
        prices = [np.array([p for p, _ in levels]) / 1e5 for levels in sides]
        sizes = [np.array([q for _, q in levels]) / 100 for levels in sides]
        bid, ask = out["depth_bid"], out["depth_ask"]
        mid = f.mid(bid, ask)
        out["weighted_mid"] = f.weighted_mid(bid, ask, sizes[BID][0], sizes[ASK][0])
        usual_spread = self.spread.move(max(ask - bid, 0.0), now_ns)
        out["depth_distance"] = max(self.pip, 2 * usual_spread)
        decay = max(0.2 * self.pip, usual_spread)
        for side, name in ((BID, "bid_depth_units"), (ASK, "ask_depth_units")):
            out[name] = f.depth_within(prices[side], sizes[side], mid, out["depth_distance"])
        out["obi"] = f.imbalance(*(f.weighted_depth(prices[side], sizes[side], mid, decay) for side in (BID, ASK)))
        touch = self.touch.move((sizes[BID][0] + sizes[ASK][0]) / 2, now_ns)
        if self.old is not None:
            flow = f.decayed_sum(self.flow, 0.0, self._since_flow_s(now_ns), self.settings.flow_half_life_s)
            out["ofi"] = flow / touch
        if not self.units > 0:
            return
        out["buy_cost_bps"] = f.walk_cost_bps(prices[ASK], sizes[ASK], mid, self.units, 1)
        out["sell_cost_bps"] = f.walk_cost_bps(prices[BID], sizes[BID], mid, self.units, -1)
        cost = out["buy_cost_bps"] + out["sell_cost_bps"]
        out["round_trip_bps"] = cost
        log_cost = -math.log(max(cost, 0.1 * 1e-5 / mid * 1e4)) if cost < math.inf else -math.inf
        usual = self.usual_cost.move(log_cost, now_ns)
        if math.isfinite(log_cost):
            out["liquidity_ratio"] = math.exp(self.ratio.move(log_cost - usual, now_ns))


def _float_best(best: Best | None, nowhere: float) -> tuple[float, float]:
    return (nowhere, 0.0) if best is None else (best[0] / 1e5, best[1] / 100)
