"""What goes by the clock, in its plainest form: usual values, volatility, impact regression, imbalance and crisis."""

import math
from collections import defaultdict

from naive_market import NAN, Average, NaiveBook, NaiveSymbol, Row

from bot.market import crisis_formulas as crisis
from bot.market import features as f
from bot.market import flow_formulas as flow
from bot.market import volatility_formulas as vol
from bot.market.evaluator import EvaluatorSettings
from bot.market.state import USUAL_NAMES

S = 1_000_000_000
LEAST_DEVIATION = 0.35
KEPT = (
    *(
        "reference_units",
        "impact_units",
        "fill_frac",
        "fill_factor",
        "volatility_bps",
        "slow_volatility_bps",
    ),
    *("worst_minute_bps", "resilience_half_life_s", "crisis_level", "usual_spread_bps", "usual_weighted_units"),
    *("usual_impact_bps", "usual_volatility_bps"),
)


class TiedError(Exception):
    """An observation lies on a running median but for rounding: which way that moves is decided by the last bit."""


class Usual:
    """What is usual of one quantity, in logs: of this bin, of all time, and what is in use."""

    def __init__(self, name: str) -> None:
        self.median, self.overall, self.n, self.in_use = NAN, NAN, 0, NAN
        self.is_exact, self.last = name in ("spread", "size", "gap"), NAN
        self.tells_ties = False
        self.probability, self.least_step = (0.99, 0.05) if name == "gap" else (0.5, 0.002)

    def learn(self, x: float, follows_overall: bool) -> bool:
        if not math.isfinite(x):
            return False
        # The same book again is the same number again, in either form; another book that comes to the same is not.
        away = min(abs(x - self.overall), abs(x - self.median))
        if self.tells_ties and not self.is_exact and x != self.last and away < 1e-6:
            raise TiedError
        self.last = x
        if 0 < self.n < 5:
            self.overall += (x - self.overall) / (self.n + 1)
        else:
            step = max(self.least_step, 1 / (1 + self.n))
            self.overall = f.quantile_step(self.overall, x, self.probability, step)
        self.n += 1
        self.median = f.quantile_step(self.median, x, self.probability, 0.05)
        if follows_overall or math.isnan(self.in_use):
            self.in_use = self.overall
        return True


class TickingSymbol(NaiveSymbol):
    """A symbol with its clocks."""

    def __init__(self, pip: float, settings: EvaluatorSettings) -> None:
        super().__init__(pip, settings)
        self.usual = {name: Usual(name) for name in USUAL_NAMES}
        self.spread_mad, self.depth_mad, self.usual_deviation = NAN, NAN, NAN
        self.base: dict[int, dict[str, float]] = defaultdict(dict)
        self.base_mad: dict[int, float] = {}
        self.days: dict[int, int] = defaultdict(int)
        self.bin: int | None = None
        self.obi_fast = Average(settings.imbalance_half_life_s)
        self.obi_slow = Average(settings.slow_imbalance_half_life_s)
        self.entropy = Average(60.0)
        self.obi_mean, self.obi_variance, self.obi_n, self.obi_ns = NAN, 0.0, 0, -1
        self.is_indicative = False
        self.sums, self.bucket, self.bucket_s = flow.RegressionSums(), None, 0.0
        self.sample: tuple[int, float] | None = None
        self.returns: list[tuple[float, float]] = []
        self.minute: tuple[int, list[float]] | None = None
        self.minutes_s = 0.0
        self.ago = [(NAN, NAN), (NAN, NAN)]
        self.before_silence: tuple[float, float, int] | None = None
        self.rate_mean, self.rate_variance, self.rate_n, self.rate_z, self.counted = NAN, 0.0, 0, NAN, 0
        self.gap_log, self.rxx, self.rxy, self.rn = NAN, 0.0, 0.0, 0
        self.scan_ns = self.tick_ns = self.judged_ns = self.closed_ns = -1
        self.level_ns = self.entered_ns = -1
        self.pending: tuple[int, int] | None = None

    # -- what the plain symbol asks of its clocks -----------------------------------------------------------------

    @property
    def usual_log_cost(self) -> float:
        return self.usual["cost"].in_use

    @property
    def usual_log_spread(self) -> float:
        return self.usual["spread"].in_use

    @property
    def usual_days(self) -> int:
        return 0 if self.bin is None else self._days_in_use

    _days_in_use = 0

    def _learn(self, name: str, x: float) -> bool:
        return self.usual[name].learn(x, self.usual_days == 0)

    def learn_size(self, size_cents: int) -> None:
        self._learn("size", math.log(size_cents))

    def learn_gap(self, gap_s: float) -> None:
        self._learn("gap", math.log(gap_s))

    def begin_bucket_anew(self) -> None:
        self.bucket = None

    def enter_bin(self, which: int) -> None:
        """Begin a quarter of an hour: yesterday's bin of this name is what is usual now (models 11)."""
        if which == self.bin:
            return
        if self.bin is not None and math.isfinite(self.usual["spread"].median):
            for name, usual in self.usual.items():
                if math.isfinite(usual.median):
                    old = self.base[self.bin].get(name, NAN)
                    self.base[self.bin][name] = crisis.next_base(old, usual.median)
            self.base_mad[self.bin] = crisis.next_base(self.base_mad.get(self.bin, NAN), self.spread_mad)
            self.days[self.bin] += 1
        self.bin, self._days_in_use = which, self.days[which]
        for name, usual in self.usual.items():
            usual.median = NAN
            usual.in_use = crisis.shrunk_base(self.base[which].get(name, NAN), self.days[which], usual.overall)
        mad = self.base_mad.get(which, self.spread_mad)
        self.usual_deviation = LEAST_DEVIATION if math.isnan(mad) else max(1.4826 * mad, LEAST_DEVIATION)

    def lose_link(self) -> None:
        """Forget what belonged to the connection; what describes the market stays."""
        counters, self.book = self.book.counters, NaiveBook()
        self.book.counters, self.spot = counters, {}
        self.old, self.old_mid, self.was_crossed = None, NAN, False
        for decayed in (self.flow, self.weighted_flow, self.revisions, self.revision_weight):
            decayed.total = 0.0
        self.spot_ns = self.depth_ns = self.crossed_ns = self.apart_ns = self.lopsided_ns = self.connected_ns = -1
        self.bucket, self.bucket_broken, self.pending, self.tick_ns = None, False, None, -1
        self.ago, self.gap_log, self.rate_z = [(NAN, NAN), (NAN, NAN)], NAN, NAN
        self.before_silence = None
        kept = {name: self.features[name] for name in KEPT}
        self.features = dict.fromkeys(self.features, NAN) | {"is_depth_seen": 0.0, "is_spot_only": 0.0} | kept

    # -- clocks ---------------------------------------------------------------------------------------------------

    def look_at_clocks(self, changed: bool, now_ns: int) -> None:
        if max(self.spot_ns, self.depth_ns) < 0:
            return
        if math.isfinite(self.old_mid):
            if self.scan_wanted and (self.scan_ns < 0 or now_ns - self.scan_ns >= S // 10):
                self._scan(now_ns)
            elif self.obi_ns >= 0 and now_ns - self.obi_ns >= S // 10:
                self._smooth(self.obi_fast.previous, now_ns)
            fast, known = self.features["obi_fast"], self.obi_n >= 600
            far = abs(fast - self.obi_mean) > 3 * math.sqrt(max(self.obi_variance, 1e-6))
            self.follow_lopsided(known and abs(fast) > 0.9 and far, now_ns)
        elif self.crossed_ns < 0 or now_ns - self.crossed_ns >= S // 4:
            self.features |= dict.fromkeys(("obi_fast", "obi_slow", "obi_z"), NAN)
        if self.tick_ns < 0 or now_ns >= self.tick_ns + S:
            self._tick(now_ns)
        if changed or now_ns - self.judged_ns >= S // 10:
            self.judged_ns = now_ns
            self._judge(now_ns)

    def _scan(self, now_ns: int) -> None:
        self.scan_ns = now_ns
        quotes = [
            (side, price / 1e5, float(size), (now_ns - self.book.born[quote_id]) / 1e9)
            for quote_id, (side, price, size) in self.book.quotes.items()
        ]
        self.scan_wanted = any(now_ns - born < S // 10 for born in self.book.born.values())
        entropy = f.size_entropy_bits([size for _, _, size, _ in quotes])
        self.is_indicative = self.entropy.move(entropy, now_ns) < 0.1
        usual_size = math.exp(self.usual["size"].in_use)
        self._smooth(f.guarded_imbalance(quotes, self.old_mid, self.decay, usual_size), now_ns)

    def _smooth(self, imbalance: float, now_ns: int) -> None:
        if math.isnan(imbalance):
            return
        fast = self.obi_fast.move(imbalance, now_ns)
        since_s = (now_ns - self.obi_ns) / 1e9
        alpha = 1 - 2 ** (-since_s / self.settings.imbalance_scale_half_life_s) if self.obi_ns >= 0 else 1.0
        alpha = max(alpha, 1 / (1 + self.obi_n))
        self.obi_mean, self.obi_variance = f.moments_step(self.obi_mean, self.obi_variance, fast, alpha)
        self.obi_ns, self.obi_n = now_ns, self.obi_n + 1
        z = (fast - self.obi_mean) / math.sqrt(max(self.obi_variance, 1e-6))
        slow = self.obi_slow.move(fast, now_ns)
        self.features |= {"obi_fast": fast, "obi_slow": slow, "obi_z": z if self.obi_n >= 60 else NAN}

    def _tick(self, now_ns: int) -> None:
        out = self.features
        elapsed_s = (now_ns - self.tick_ns) / 1e9 if self.tick_ns >= 0 else 0.0
        self.tick_ns = now_ns // S * S
        fresh = now_ns - max(self.spot_ns, self.depth_ns) < 5 * S
        if fresh:
            self._sample(out["weighted_mid"] if math.isfinite(self.old_mid) else out["mid"], now_ns)
            self._follow_minute(out["mid"], now_ns)
        now = (out["mid"] if fresh else NAN, out["volatility_bps"])
        self.ago = [now, self.ago[0] if elapsed_s < 3 else (NAN, NAN)]
        if math.isfinite(self.ago[1][0]):
            self.before_silence = None
        usual_now = fresh and self.may_learn
        if elapsed_s > 0.5:
            self._follow_rate((self.messages - self.counted) / elapsed_s, elapsed_s, usual_now)
        self.counted = self.messages
        if math.isfinite(self.old_mid) and self.weighted.mean > 0:
            self._follow_bucket(now_ns)
        usual_lambda = math.exp(self.usual["lambda"].in_use)
        used = flow.used_lambda(self.sums, usual_lambda)
        fitted, r_squared = flow.kyle_lambda(self.sums)
        out["lambda_bps_per_unit"] = used / self.weighted.mean
        weighted = (out["bid_weighted_units"] + out["ask_weighted_units"]) / 2
        self._follow_recovery(_log(weighted) - self.usual["depth"].in_use, elapsed_s)
        if usual_now:
            self._learn_usual(weighted, used if fitted > 0 and r_squared >= 0.05 else NAN)
        out["usual_spread_bps"] = math.exp(self.usual["spread"].in_use)
        out["usual_weighted_units"] = math.exp(self.usual["depth"].in_use)
        out["usual_impact_bps"] = math.exp(self.usual["impact"].in_use)
        out["usual_volatility_bps"] = math.exp(self.usual["volatility"].in_use)
        if not out["is_depth_seen"] and 0 <= self.connected_ns <= now_ns - 5 * S:
            out["is_spot_only"] = 1.0
        elif (
            out["is_depth_seen"]
            and not self.book.quotes
            and 0 <= max(self.depth_ns, self.lopsided_ns) <= now_ns - 60 * S
        ):
            if self.spot_ns >= 0 and now_ns - self.spot_ns < 5 * S:
                out["is_depth_seen"], out["is_spot_only"], self.lopsided_ns = 0.0, 1.0, -1
        usual_spread = out["usual_spread_bps"] * out["mid"] / 1e4
        if usual_spread > 0:
            self.decay, self.distance = max(0.2 * self.pip, usual_spread), max(self.pip, 2 * usual_spread)

    def _learn_usual(self, weighted: float, own_lambda: float) -> None:
        out = self.features
        log_spread = _log(out["spread_bps"])
        if math.isfinite(log_spread):
            log_spread = max(log_spread, math.log(1e4 * 0.2 * self.pip / out["mid"]))
        if self._learn("spread", log_spread):
            away = abs(log_spread - self.usual["spread"].in_use)
            self.spread_mad = _next_mad(self.spread_mad, away)
            if self.usual_days == 0:
                self.usual_deviation = max(1.4826 * self.spread_mad, LEAST_DEVIATION)
        if self._learn("depth", _log(weighted)):
            away = abs(_log(weighted) - self.usual["depth"].in_use)
            self.depth_mad = _next_mad(self.depth_mad, away)
        if not out["is_spot_only"]:
            floor = 1e4 * 0.2 * self.pip / ((out["depth_bid"] + out["depth_ask"]) / 2)
            self._learn("cost", _log(max(out["round_trip_bps"], floor) if out["round_trip_bps"] > 0 else NAN))
        self._learn("impact", _log((out["buy_impact_bps"] + out["sell_impact_bps"]) / 2))
        self._learn("lambda", _log(own_lambda))
        self._learn("volatility", _log(out["volatility_bps"]))

    def _sample(self, fair: float, now_ns: int) -> None:
        if not fair > 0:
            return
        if self.sample is None or now_ns - self.sample[0] > 300 * S:
            self.sample = (now_ns, fair)
        elif now_ns - self.sample[0] >= self.settings.volatility_sample_s * 1e9:
            self.returns.append((math.log(fair / self.sample[1]), (now_ns - self.sample[0]) / 1e9))
            self.sample = (now_ns, fair)
            if len(self.returns) >= self.settings.least_samples:
                returns, times = ([pair[i] for pair in self.returns] for i in (0, 1))
                for name, half_life_s in (
                    ("volatility_bps", self.settings.volatility_half_life_s),
                    ("slow_volatility_bps", self.settings.slow_volatility_half_life_s),
                ):
                    self.features[name] = 1e4 * math.sqrt(vol.weighted_variance(returns, times, half_life_s))

    def _follow_minute(self, mid: float, now_ns: int) -> None:
        if not mid > 0:
            return
        worst = self.features["worst_minute_bps"]
        if self.minute is not None:
            age_ns = now_ns - self.minute[0]
            if age_ns >= 60 * S:
                worst *= 2 ** (-age_ns / 1e9 / (20 * 86_400))
            if age_ns <= 62 * S:
                self.minute[1].append(mid)
                move = vol.worst_move_bps(self.minute[1])
                worst = move if math.isnan(worst) else max(worst, move)
            if age_ns >= 60 * S:
                self.minutes_s += age_ns / 1e9 if age_ns <= 62 * S else 0.0
                self.minute = None
        if self.minute is None:
            self.minute = (now_ns, [mid])
        self.features["worst_minute_bps"] = worst

    def _follow_rate(self, rate: float, elapsed_s: float, usual_now: bool) -> None:
        if self.rate_n >= 60:
            self.rate_z = (rate - self.rate_mean) / math.sqrt(max(self.rate_variance, 1.0))
        if usual_now:
            alpha = max(1 - 2 ** (-elapsed_s / 3600), 1 / (1 + self.rate_n))
            self.rate_mean, self.rate_variance = f.moments_step(self.rate_mean, self.rate_variance, rate, alpha)
            self.rate_n += 1

    def _follow_bucket(self, now_ns: int) -> None:
        total = self.total_revisions if self.is_indicative else self.total_weighted_flow
        if self.bucket is not None:
            began_ns, mid, before, was_indicative = self.bucket
            age_ns = now_ns - began_ns
            if age_ns < self.bucket_s * 1e9:
                return
            if was_indicative != self.is_indicative:
                self.sums = flow.RegressionSums()
            elif age_ns < 3e9 * self.bucket_s and not self.bucket_broken:
                x = total - before if self.is_indicative else (total - before) / self.weighted.mean
                half_life_s = max(self.settings.lambda_half_life_s, 60 * self.bucket_s)
                self.sums = self.sums.then(x, flow.move_bps(mid, self.old_mid), 2 ** (-age_ns / 1e9 / half_life_s))
        self.bucket_s = 1.0 if self.refreshes_per_s(now_ns) > 5 else 10.0
        self.bucket = (now_ns, self.old_mid, total, self.is_indicative)
        self.bucket_broken = False

    def _follow_recovery(self, gap: float, elapsed_s: float) -> None:
        if math.isfinite(gap) and math.isfinite(self.gap_log) and 0.5 < elapsed_s < 2:
            kept = 2 ** (-elapsed_s / self.settings.resilience_half_life_s)
            self.rxx = kept * self.rxx + self.gap_log**2
            self.rxy = kept * self.rxy + self.gap_log * (gap - self.gap_log) / elapsed_s
            self.rn = kept * self.rn + 1
            if self.rn >= 60 and self.rxx > 0:
                rho = -self.rxy / self.rxx
                self.features["resilience_half_life_s"] = math.log(2) / rho if rho > 0 else math.inf
        self.gap_log = gap

    # -- crisis ---------------------------------------------------------------------------------------------------

    def sight(self, now_ns: int) -> crisis.Sight:
        out, spread, depth, gap = self.features, self.usual["spread"], self.usual["depth"], self.usual["gap"]

        def since_s(ns: int) -> float:
            return (now_ns - max(ns, self.closed_ns)) / 1e9 if ns >= 0 else NAN

        knows_days = self.usual_days > 0
        return crisis.Sight(
            spread_bps=out["spread_bps"],
            least_spread_bps=1e4 * 0.2 * self.pip / out["mid"],
            usual_spread_bps=math.exp(spread.in_use),
            spread_deviation=self.usual_deviation,
            is_spread_known=spread.n >= 5 or knows_days,
            is_deviation_known=spread.n >= 60 or knows_days,
            weighted_units=(out["bid_weighted_units"] + out["ask_weighted_units"]) / 2,
            usual_weighted_units=math.exp(depth.in_use) if depth.n >= 5 or knows_days else NAN,
            depth_deviation=LEAST_DEVIATION
            if math.isnan(mad := self.depth_mad)
            else max(1.4826 * mad, LEAST_DEVIATION),
            lopsided_s=since_s(self.lopsided_ns),
            mid_moves=(
                *((1e4 * (out["mid"] - ago) / ago, 1.0 + i, sigma) for i, (ago, sigma) in enumerate(self.ago)),
                *self._over_silence(now_ns),
            ),
            rate_z=self.rate_z,
            quiet_s=since_s(max(self.spot_ns, self.depth_ns)),
            long_gap_s=math.exp(gap.in_use) if gap.n >= 100 or knows_days else _at_least(math.exp(gap.in_use), 15.0),
            fill_q10=self.fill_q10,
            crossed_s=since_s(self.crossed_ns),
        )

    def _over_silence(self, now_ns: int) -> list[tuple[float, float, float]]:
        if self.before_silence is None:
            return []
        mid, sigma, since_ns = self.before_silence
        seconds = (now_ns - since_ns) / 1e9
        known = math.isfinite(mid) and seconds <= 300
        return [(1e4 * (self.features["mid"] - mid) / mid, seconds, sigma)] if known else []

    def _judge(self, now_ns: int) -> None:
        out = self.features
        if self.closed:
            self.pending, self.closed_ns = None, now_ns
            return
        signs = crisis.crisis_signs(self.sight(now_ns))
        score = out["crisis_score"] = crisis.crisis_score(signs)
        level, wanted = int(out["crisis_level"]), crisis.crisis_level(score)
        at_once = crisis.crisis_level(signs[4])
        if wanted >= level > 0:
            self.level_ns = now_ns
        if wanted <= level:
            self.pending = None
            self._perhaps_fall(level, score, now_ns)
            return
        since_ns, least = self.pending or (now_ns, wanted)
        self.pending = (since_ns, min(least, wanted))
        reached = at_once if at_once > level else level
        if now_ns - since_ns >= S // 4:
            reached = max(reached, self.pending[1])
            self.pending = None
        if reached > level:
            self.entered_ns = now_ns if level == 0 else self.entered_ns
            out["crisis_level"], self.level_ns = float(reached), now_ns

    def _perhaps_fall(self, level: int, score: float, now_ns: int) -> None:
        if level == 0 or now_ns - self.level_ns < crisis.HOLD_DOWNS_S[level - 1] * 1e9:
            return
        out = self.features
        if math.isfinite(out["round_trip_bps"]) and math.isfinite(out["usual_round_trip_bps"]):
            ratio = out["usual_round_trip_bps"] / max(out["round_trip_bps"], 1e-9)
        else:
            ratio = out["usual_spread_bps"] / max(out["spread_bps"], 1e-9)
        if score < crisis.ENTRY_SCORES[level - 1] / 2 and (math.isnan(out["liquidity_ratio"]) or ratio > 0.7):
            out["crisis_level"], self.level_ns = level - 1.0, now_ns


class NaiveMarket:
    """All symbols: batches in, contagion between them."""

    def __init__(self, pips: list[float], settings: EvaluatorSettings) -> None:
        self.symbols = [TickingSymbol(pip, settings) for pip in pips]

    def receive(self, rows: list[Row], now_ns: int) -> None:
        for kind, s, quote_id, price, size in rows:
            self.symbols[s].apply(kind, quote_id, price, size, now_ns)
        changed = {row[1] for row in rows}
        for s, symbol in enumerate(self.symbols):
            if s in changed:
                symbol.evaluate(now_ns)
            symbol.look_at_clocks(s in changed, now_ns)
        ill = [symbol for symbol in self.symbols if symbol.features["crisis_level"] >= 1]
        if sum(0 <= now_ns - symbol.entered_ns <= 5 * S and symbol.entered_ns >= 0 for symbol in ill) < 3:
            return
        for symbol in self.symbols:
            if symbol.features["crisis_level"] < 1 and not symbol.closed and symbol.spot_ns >= 0:
                symbol.features["crisis_level"], symbol.level_ns = 1.0, now_ns


def _at_least(x: float, least: float) -> float:
    return least if math.isnan(x) else max(x, least)


def _next_mad(mad: float, away: float) -> float:
    mad = LEAST_DEVIATION / 1.4826 if math.isnan(mad) else mad
    return max(f.quantile_step(mad, away, 0.5, 0.01), 0.0)


def _log(x: float) -> float:
    return math.log(x) if x > 0 else NAN
