"""The market in its plainest form, dicts and lists and the plain formulas: the oracle of the compiled loops.

`NaiveSymbol` is one symbol: its book, its flows, its features. What goes by the clock is in `naive_clocks.py`.
"""

import math
from collections import Counter

import numpy as np

from bot.market import features as f
from bot.market import flow_formulas as flow
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
from bot.market.evaluator import EvaluatorSettings
from bot.market.feature_table import FIELDS

BID, ASK = 0, 1
NAN = math.nan
DAY_S = 86_400
Row = tuple[int, int, int, int, int]  # kind, symbol, quote id, price, size
Best = tuple[int, int]  # price in 1/100000, size in 0.01 unit


class NaiveBook:
    """Quotes by id; levels are added up anew whenever somebody asks."""

    def __init__(self) -> None:
        self.quotes: dict[int, tuple[int, int, int]] = {}
        self.born: dict[int, int] = {}
        self.told: list[int | None] = [None, None]  # best prices as the last message left them
        self.counters: Counter[str] = Counter()

    def apply(self, kind: int, quote_id: int, price_e5: int, size_cents: int, now_ns: int = 0) -> int | None:
        """Apply a row; return the birth of a quote that it took away from the best price that was told."""
        old = self.quotes.get(quote_id)
        left = None
        if kind == CLEAR_BOOK:
            self.quotes.clear()
            self.born.clear()
            self.told = [None, None]
            return None
        side = kind - DEPTH_BID
        moves = old is not None and (kind == DEPTH_DELETE or old[:2] != (side, price_e5))
        if old is not None and moves and old[1] == self.told[old[0]]:
            left = self.born[quote_id]
        if kind == DEPTH_DELETE:
            if self.quotes.pop(quote_id, None) is None:
                self.counters["unknown_deletes"] += 1
        else:
            self.counters["repriced"] += moves
            if old is None or moves:
                self.born[quote_id] = now_ns
            self.quotes[quote_id] = (side, price_e5, size_cents)
        return left

    def tell(self) -> None:
        """End a message."""
        self.told = [levels[0][0] if (levels := self.levels(side)) else None for side in (BID, ASK)]

    def levels(self, side: int) -> list[Best]:
        sums: Counter[int] = Counter()
        for quote_side, price, size in self.quotes.values():
            if quote_side == side:
                sums[price] += size
        return sorted(sums.items(), reverse=side == BID)

    def float_levels(self, side: int) -> list[tuple[float, float]]:
        return [(price / 1e5, size / 100) for price, size in self.levels(side)]


class Average:
    """Models 1.1 for one quantity."""

    def __init__(self, half_life_s: float) -> None:
        self.half_life_s = half_life_s
        self.mean, self.previous, self.last_ns = NAN, NAN, -1

    def move(self, x: float, now_ns: int) -> float:
        if not math.isfinite(x):
            return self.mean
        if self.last_ns < 0:
            self.mean = x
        else:
            self.mean = f.ewma_step(self.mean, self.previous, (now_ns - self.last_ns) / 1e9, self.half_life_s)
        self.previous, self.last_ns = x, max(now_ns, self.last_ns)
        return self.mean


class Decayed:
    """A decayed sum that knows when it was added to."""

    def __init__(self, half_life_s: float) -> None:
        self.half_life_s, self.total, self.last_ns = half_life_s, 0.0, -1

    def at(self, now_ns: int) -> float:
        since_s = (now_ns - self.last_ns) / 1e9 if self.last_ns >= 0 else 0.0
        return f.decayed_sum(self.total, 0.0, since_s, self.half_life_s)

    def add(self, x: float, now_ns: int) -> None:
        self.total, self.last_ns = self.at(now_ns) + x, max(now_ns, self.last_ns)


class NaiveSymbol:
    """One symbol at the moment of the last message; `features` is its row of the feature table."""

    def __init__(self, pip: float, settings: EvaluatorSettings) -> None:
        self.pip, self.settings = pip, settings
        self.book, self.spot = NaiveBook(), {}
        self.commission_bps, self.closed, self.fill_q10, self.latency_s = 0.0, False, NAN, NAN
        self.spread = Average(settings.spread_half_life_s)
        self.touch = Average(settings.touch_size_half_life_s)
        self.weighted = Average(settings.touch_size_half_life_s)
        self.recent_cost = Average(settings.liquidity_base_half_life_s)
        self.ratio = Average(settings.liquidity_smoothing_half_life_s)
        self.flow, self.weighted_flow = Decayed(settings.flow_half_life_s), Decayed(settings.flow_half_life_s)
        self.revisions, self.revision_weight = (Decayed(settings.revision_half_life_s) for _ in range(2))
        self.refreshes = Decayed(600.0)
        self.totals, self.total_weighted_flow, self.total_revisions = [0.0] * 5, 0.0, 0.0
        self.old: flow.Book | None = None
        self.old_mid, self.was_crossed = NAN, False
        self.decay, self.distance, self.reach_frac = NAN, NAN, NAN
        self.spot_ns = self.depth_ns = self.crossed_ns = self.lopsided_ns = self.apart_ns = self.connected_ns = -1
        self.messages, self.scan_wanted, self.bucket_broken = 0, False, False
        self.features = dict.fromkeys((name for name, _ in FIELDS), NAN)
        self.features |= {"crisis_level": 0.0, "is_depth_seen": 0.0, "is_spot_only": 0.0}
        self.first_ns = -1

    # -- what the clocks' part of this symbol decides (see naive_clocks) ------------------------------------------

    usual_log_cost = usual_log_spread = NAN
    usual_days = 0.0

    def learn_size(self, size_cents: int) -> None: ...

    def learn_gap(self, gap_s: float) -> None: ...

    def begin_bucket_anew(self) -> None: ...

    # -- messages -------------------------------------------------------------------------------------------------

    @property
    def may_learn(self) -> bool:
        return self.features["crisis_level"] == 0 and not self.closed

    def apply(self, kind: int, quote_id: int, price_e5: int, size_cents: int, now_ns: int) -> None:
        if kind in (SPOT_BID, SPOT_ASK):
            known = self.spot.get(kind - SPOT_BID)
            if not self.features["is_depth_seen"] and known is not None and known != price_e5:
                self._revise(1 if price_e5 > known else -1, now_ns)
            self.spot[kind - SPOT_BID] = price_e5
        elif kind == END_SPOT:
            self.book.counters["spot_events"] += 1
            self._message(now_ns)
            self.spot_ns = now_ns
            self.connected_ns = now_ns if self.connected_ns < 0 else self.connected_ns
        elif kind == END_DEPTH:
            self.book.counters["depth_events"] += 1
            self.book.tell()
            self._message(now_ns)
            self.depth_ns, self.scan_wanted = now_ns, True
            if self.book.quotes:
                self.features |= {"is_depth_seen": 1.0, "is_spot_only": 0.0}
            self._end_depth(now_ns)
        else:
            born_ns = self.book.apply(kind, quote_id, price_e5, size_cents, now_ns)
            if born_ns is not None and math.isfinite(self.latency_s):
                self.reach_frac = flow.reach_step(self.reach_frac, (now_ns - born_ns) / 1e9, self.latency_s)
            if kind == CLEAR_BOOK:
                self.old, self.was_crossed, self.old_mid, self.crossed_ns = None, False, NAN, -1
                self.lopsided_ns = -1
                self.flow.total = self.weighted_flow.total = 0.0
                self.begin_bucket_anew()
            elif kind in (DEPTH_BID, DEPTH_ASK) and self.may_learn:
                self.learn_size(size_cents)

    def _message(self, now_ns: int) -> None:
        newest_ns = max(self.spot_ns, self.depth_ns)
        if newest_ns >= 0 and now_ns - newest_ns >= 3_000_000_000:
            self.before_silence = self.features["mid"], self.features["volatility_bps"], newest_ns
        if 0 <= newest_ns < now_ns and not self.closed:
            self.learn_gap((now_ns - newest_ns) / 1e9)
        self.messages += 1

    def _revise(self, revision: int, now_ns: int) -> None:
        self.revisions.add(revision, now_ns)
        self.revision_weight.add(abs(revision), now_ns)
        self.total_revisions += revision

    def _end_depth(self, now_ns: int) -> None:
        book = (self.book.float_levels(BID), self.book.float_levels(ASK))
        two_sided = bool(book[BID] and book[ASK])
        crossed = two_sided and book[BID][0][0] > book[ASK][0][0]
        if two_sided and math.isnan(self.decay):
            gap = (self.book.levels(ASK)[0][0] - self.book.levels(BID)[0][0]) / 1e5
            self.decay, self.distance = max(0.2 * self.pip, gap), max(self.pip, 2 * gap)
        booked = self.old is not None and not crossed and not self.was_crossed
        first, shift = 0.0, 0.0
        if booked:
            flows = flow.level_flows(self.old, book)
            self.totals = [total + e for total, e in zip(self.totals, flows, strict=True)]
            first = flows[0]
            if (revision := flow.revision(self.old, book)) != 0:
                self._revise(revision, now_ns)
            if any(a[:1] != b[:1] for a, b in zip(self.old, book, strict=True)):
                self.refreshes.add(1.0, now_ns)
        if booked and two_sided and math.isfinite(self.old_mid):
            shift = flow.weighted_flow(self.old, book, self.old_mid, self.decay)
        self.flow.add(first, now_ns)
        self.weighted_flow.add(shift, now_ns)
        self.total_weighted_flow += shift
        self.bucket_broken |= crossed or not two_sided
        self.crossed_ns = (self.crossed_ns if self.crossed_ns >= 0 else now_ns) if crossed else -1
        self.old, self.was_crossed = book, crossed
        self.old_mid = self._book_mid() if two_sided and not crossed else NAN

    def _book_mid(self) -> float:
        return (self.book.levels(BID)[0][0] + self.book.levels(ASK)[0][0]) / 2e5

    # -- features -------------------------------------------------------------------------------------------------

    def refreshes_per_s(self, now_ns: int) -> float:
        return self.refreshes.at(now_ns) * math.log(2) / 600 if self.refreshes.last_ns >= 0 else NAN

    def weighted_sizes(self) -> list[float]:
        """Return the distance-weighted size of both sides as the book stands."""
        mid = self._book_mid()
        found = []
        for side in (BID, ASK):
            prices, sizes = np.array(self.book.float_levels(side)).T
            found.append(f.weighted_depth(prices, sizes, mid, self.decay))
        return found

    def evaluate(self, now_ns: int) -> None:
        out = self.features
        self._evaluate_spot(now_ns)
        sides = [self.book.float_levels(BID), self.book.float_levels(ASK)]
        out["depth_bid"], out["depth_ask"] = (side[0][0] if side else NAN for side in sides)
        weight = self.revision_weight
        out["revision_flow"] = self.revisions.total / weight.total if weight.at(now_ns) > 1e-9 else NAN
        if not (sides[BID] and sides[ASK]):
            self._evaluate_half_a_book(bool(sides[BID]), bool(sides[ASK]), now_ns)
            return
        prices, sizes = ([np.array(side)[:, column] for side in sides] for column in (0, 1))
        bid, ask = out["depth_bid"], out["depth_ask"]
        mid = f.mid(bid, ask)
        out["weighted_mid"] = f.weighted_mid(bid, ask, sizes[BID][0], sizes[ASK][0])
        out["bid_weighted_units"], out["ask_weighted_units"] = weights = self.weighted_sizes()
        out["depth_distance"] = self.distance
        for side, name in ((BID, "bid"), (ASK, "ask")):
            out[f"{name}_depth_units"] = f.depth_within(prices[side], sizes[side], mid, self.distance)
            out[f"{name}_slope"] = f.book_slope(prices[side], sizes[side], mid)
        out["obi"] = f.imbalance(*weights)
        if self.crossed_ns >= 0:
            self.lopsided_ns = -1
        touch = self.touch.move((sizes[BID][0] + sizes[ASK][0]) / 2, now_ns)
        usual_weighted = self.weighted.move(sum(weights) / 2, now_ns)
        known = self.old is not None
        out["ofi"] = self.flow.at(now_ns) / touch if known else NAN
        out["ofi_weighted"] = self.weighted_flow.at(now_ns) / usual_weighted if known else NAN
        self._evaluate_cost(prices, sizes, mid, now_ns)
        if math.isfinite(out["mid"]):
            tolerance = max(self.spread.mean * out["mid"] / 1e4, ask - bid) + self.pip
            apart = abs(mid - out["mid"]) > tolerance or out["bid"] - out["ask"] > tolerance
            self.apart_ns = (self.apart_ns if self.apart_ns >= 0 else now_ns) if apart else -1

    def _evaluate_spot(self, now_ns: int) -> None:
        out = self.features
        out |= dict.fromkeys(("bid", "ask", "mid", "spread_bps"), NAN)
        if len(self.spot) == 2:
            out["bid"], out["ask"] = self.spot[BID] / 1e5, self.spot[ASK] / 1e5
            out["mid"], out["spread_bps"] = f.mid(out["bid"], out["ask"]), f.spread_bps(out["bid"], out["ask"])
            out["mean_spread_bps"] = self.spread.move(max(out["spread_bps"], 0.0), now_ns)

    def follow_lopsided(self, is_lopsided: bool, now_ns: int) -> None:
        self.lopsided_ns = (self.lopsided_ns if self.lopsided_ns >= 0 else now_ns) if is_lopsided else -1

    def _evaluate_half_a_book(self, has_bids: bool, has_asks: bool, now_ns: int) -> None:
        out = self.features
        for name in ["depth_units", "weighted_units", "slope"]:
            out[f"bid_{name}"] = out[f"ask_{name}"] = NAN
        for name in ["cost_bps", "impact_bps", "capacity_units"]:
            out[f"buy_{name}"] = out[f"sell_{name}"] = NAN
        for name in ["weighted_mid", "depth_distance", "round_trip_bps", "ofi", "ofi_weighted", "liquidity_ratio"]:
            out[name] = NAN
        out["obi"] = {(True, False): 1.0, (False, True): -1.0}.get((has_bids, has_asks), NAN)
        self.apart_ns = -1
        self.follow_lopsided(has_bids or has_asks or out["is_depth_seen"] > 0, now_ns)
        if out["is_spot_only"] and math.isfinite(out["spread_bps"]):
            half = max(out["spread_bps"], 1e4 * 0.2 * self.pip / out["mid"]) / 2
            out |= dict.fromkeys(("buy_cost_bps", "sell_cost_bps", "buy_impact_bps", "sell_impact_bps"), half)
            out["round_trip_bps"] = 2 * half + 2 * self.commission_bps
            self._compare(out["spread_bps"], out["mid"], self.usual_log_spread, now_ns)
            out["usual_round_trip_bps"] += 2 * self.commission_bps

    def _evaluate_cost(self, prices: list, sizes: list, mid: float, now_ns: int) -> None:
        out = self.features
        share = 1.0 if math.isnan(self.reach_frac) else self.reach_frac
        trades = (("buy", ASK, 1), ("sell", BID, -1))
        for name, side, sign in trades:
            out[f"{name}_capacity_units"] = f.capacity_units(
                prices[side], sizes[side], mid, self.settings.exit_cost_cap_bps, sign, share
            )
            for what in ("cost", "impact"):
                out[f"{name}_{what}_bps"] = NAN
        out["round_trip_bps"] = NAN
        if out["reference_units"] > 0:
            for name, side, sign in trades:
                cost = f.walk_cost_bps(prices[side], sizes[side], mid, out["reference_units"], sign)
                out[f"{name}_cost_bps"] = cost
            out["round_trip_bps"] = out["buy_cost_bps"] + out["sell_cost_bps"] + 2 * self.commission_bps
            self._compare(out["round_trip_bps"], mid, self.usual_log_cost, now_ns)
        else:
            out["liquidity_ratio"] = NAN
        units = out["impact_units"]
        if units > 0:
            depth = (out["bid_depth_units"] + out["ask_depth_units"]) / 2
            volume = f.daily_volume_units(depth, self.refreshes_per_s(now_ns))
            usual = out["usual_volatility_bps"]
            daily_bps = (usual if math.isfinite(usual) else out["slow_volatility_bps"]) * math.sqrt(DAY_S)
            root = f.square_root_bps(daily_bps, units, volume) if volume > 0 else NAN
            for name, side, sign in trades:
                cost = f.walk_cost_bps(prices[side], sizes[side], mid, units, sign)
                out[f"{name}_impact_bps"] = f.impact_bps(cost, out["lambda_bps_per_unit"], units, root)

    def _compare(self, cost_bps: float, mid: float, usual_log_cost: float, now_ns: int) -> None:
        out = self.features
        cost_bps = max(cost_bps, 1e4 * 0.2 * self.pip / mid)
        if not math.isfinite(cost_bps):
            out["liquidity_ratio"] = NAN
            return
        log_cost = math.log(cost_bps)
        if self.settings.time_of_day:
            usual = log_cost if math.isnan(usual_log_cost) else usual_log_cost
            log_ratio = usual - log_cost if self.usual_days >= 3 else min(usual - log_cost, 0.0)
        else:
            usual = -self.recent_cost.move(-log_cost, now_ns)
            log_ratio = usual - log_cost
        out["liquidity_ratio"] = math.exp(self.ratio.move(log_ratio, now_ns))
        out["usual_round_trip_bps"] = math.exp(usual)
        self.first_ns = now_ns if self.first_ns < 0 else self.first_ns
