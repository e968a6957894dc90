"""The compiled evaluator against dicts and the plain formulas, on random streams: every feature, total and counter."""

import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from naive_clocks import NaiveMarket, TiedError
from streams import Batch, S, batches

from bot.market import book
from bot.market.delta import delta_rows
from bot.market.evaluator import Evaluator, EvaluatorSettings
from bot.market.feature_table import FIELDS

# Half-lives short enough for a stream of minutes to matter, and few samples to begin with.
SETTINGS = EvaluatorSettings(
    spread_half_life_s=2.0,
    touch_size_half_life_s=10.0,
    flow_half_life_s=1.0,
    liquidity_base_half_life_s=30.0,
    liquidity_smoothing_half_life_s=5.0,
    lambda_half_life_s=20.0,
    volatility_sample_s=1.0,
    least_samples=2.0,
)
PIPS = [1e-4, 1e-2, 1e-4, 1e-5]
REFERENCE = [25_000.0, 3.0, math.nan, 100.0]
IMPACT = [1e6, 500.0, 10.0, math.nan]
COMMISSION = [0.0, 0.3, 0.0, 0.2]

# What a difference of two nearly equal numbers leaves: a price is a float, and its last bit is some 1e-12 bps of it.
SLACK = {"_bps": 2e-11, "ofi": 1e-9, "ofi_weighted": 1e-9, "obi_fast": 1e-12, "obi_slow": 1e-12}
# A weight exp(-u) is as exact as u, which is a difference of prices over a length as small as they; what it enters
# is not more exact than 1e-9. z divides by a deviation that may be nearly nothing, and the log of a cost of next to
# nothing has an error of many last bits, which comes back with what is usual of it.
RELATIVE = {"obi_z": 1e-6, "resilience_half_life_s": 1e-6}
RELATIVE |= dict.fromkeys(("usual_impact_bps", "usual_round_trip_bps", "liquidity_ratio"), 2e-6)
EXACT = {"bid", "ask", "mid", "depth_bid", "depth_ask", "crisis_level", "is_depth_seen", "is_spot_only"}


def tolerance(name: str) -> tuple[float, float]:
    if name in EXACT:
        return 0.0, 0.0
    slack = next((x for end, x in SLACK.items() if name.endswith(end)), 1e-11)
    return RELATIVE.get(name, 1e-9), slack


class Pair:
    """The compiled evaluator and its naive twin, fed with the same batches."""

    def __init__(self, chosen: EvaluatorSettings = SETTINGS) -> None:
        self.evaluator = Evaluator(np.array(PIPS), chosen)
        self.evaluator.set_reference_units(np.array(REFERENCE), np.array(IMPACT))
        self.evaluator.set_commission_bps(np.array(COMMISSION))
        self.market = NaiveMarket(PIPS, chosen)
        self.naive = self.market.symbols
        for symbol, units, impact, commission in zip(self.naive, REFERENCE, IMPACT, COMMISSION, strict=True):
            symbol.features |= {"reference_units": units, "impact_units": impact}
            symbol.commission_bps = commission
        self.closed, self.fills, self.latency = np.zeros(4, bool), np.full(4, np.nan), np.full(4, np.nan)

    def tell_ties(self) -> None:
        """Let an observation that ties with a running median raise `TiedError`: random numbers find such."""
        for symbol in self.naive:
            for usual in symbol.usual.values():
                usual.tells_ties = True

    def take(self, batch: Batch) -> None:
        for what, s, value in batch.says:
            self._say(what, s, value)
        self.receive(batch.rows, batch.now_ns)

    def receive(self, rows: list, now_ns: int) -> None:
        changed = self.evaluator.receive(delta_rows(rows), now_ns)
        self.market.receive(rows, now_ns)
        assert np.flatnonzero(changed).tolist() == sorted({row[1] for row in rows})
        for s in range(len(self.naive)):
            self._compare(s)

    def _say(self, what: str, s: int, value: float) -> None:
        nan = np.full(4, np.nan)
        if what == "bin":
            self.evaluator.usual.enter(self.evaluator.state, int(value), 0)
            for symbol in self.naive:
                symbol.enter_bin(int(value))
        elif what == "drop":
            self.evaluator.clear()
            for symbol in self.naive:
                symbol.lose_link()
        elif what == "reference_units":
            units = self.evaluator.table["reference_units"].copy()
            units[s] = self.naive[s].features["reference_units"] = value
            self.evaluator.set_reference_units(units)
        else:
            {"closed": self.closed, "fill_q10": self.fills, "latency_s": self.latency}[what][s] = value
            setattr(self.naive[s], what, bool(value) if what == "closed" else value)
            self.evaluator.set_closed(self.closed)
            self.evaluator.set_fills(nan, nan, self.fills, self.latency)

    def _compare(self, s: int) -> None:
        naive, state = self.naive[s], self.evaluator.state[s]
        for side in (book.BID, book.ASK):
            prices, sizes = book.levels(self.evaluator.books, side, s)
            assert list(zip(prices.tolist(), sizes.tolist(), strict=True)) == naive.book.levels(side)
        for name, _ in FIELDS:
            relative, slack = tolerance(name)
            found, expected = float(self.evaluator.table[name][s]), naive.features[name]
            assert found == pytest.approx(expected, rel=relative, abs=slack, nan_ok=True), (name, s)
        for row, name in enumerate(book.COUNTER_NAMES):
            assert self.evaluator.books.heads["counters"][s, row] == naive.book.counters[name]
        assert state["total_flow"].tolist() == pytest.approx(naive.totals, rel=1e-12, abs=1e-6)
        assert state["total_weighted_flow"] == pytest.approx(naive.total_weighted_flow, rel=1e-9, abs=1e-4)
        assert state["total_revisions"] == naive.total_revisions
        for name in ("crossed_ns", "apart_ns", "lopsided_ns", "first_ns", "entered_ns", "level_ns"):
            assert state[name] == getattr(naive, name), (name, s)
        assert state["minutes_s"] == pytest.approx(naive.minutes_s, rel=1e-12)
        found_sums = [float(state[name]) for name in ("sxx", "sxy", "syy", "sn")]
        assert found_sums == pytest.approx(list(naive.sums), rel=1e-6, abs=1e-9)
        # The log of a cost of next to nothing, which is a difference of prices, has an error of many last bits.
        for i, (name, usual) in enumerate(naive.usual.items()):
            slack = 1e-6 if name in ("cost", "impact") else 1e-9
            assert float(state["usual"][i]) == pytest.approx(usual.in_use, rel=1e-9, abs=slack, nan_ok=True)
            assert state["overall_n"][i] == usual.n


def compare(stream: list[Batch]) -> None:
    pair = Pair()
    pair.tell_ties()
    with suppress(TiedError):  # up to there it has been compared
        for batch in stream:
            pair.take(batch)


@given(batches())
@settings(max_examples=25)
def test_every_feature_equals_its_plain_formula_on_a_few_streams(stream: list[Batch]) -> None:
    compare(stream)


@pytest.mark.slow
@given(batches())
@settings(max_examples=300)
def test_every_feature_equals_its_plain_formula_on_any_stream(stream: list[Batch]) -> None:
    compare(stream)


@pytest.mark.slow
@given(batches(most=12))
@settings(max_examples=30)
def test_the_same_holds_where_the_usual_cost_is_that_of_late(stream: list[Batch]) -> None:
    pair = Pair(EvaluatorSettings(2.0, 10.0, 1.0, 30.0, 5.0, time_of_day=False))
    pair.tell_ties()
    with suppress(TiedError):
        for batch in stream:
            pair.take(batch)


@pytest.mark.slow
def test_it_holds_over_a_quarter_of_an_hour_of_quotes() -> None:
    """Long enough for regressions, deviations and moments to have their samples; no news in between either."""
    source, pair = np.random.default_rng(7), Pair()
    now_ns, mid = 1_700_000_000 * S, 110_000
    for _ in range(1_500):
        now_ns += int(source.choice([30_000_000, 250_000_000, S, 1_500_000_000]))
        mid += int(source.integers(-1, 2))
        rows = []
        if source.random() < 0.7:
            for side in (0, 1):
                for level in range(3):
                    price = mid + (1 + level if side else -1 - level)
                    size = 100 * int(source.integers(1_000, 900_000))
                    rows.append((3 + side, 0, 10 * side + level + 1, price, size))
            rows += [(6, 0, 0, 0, 0), (0, 0, 0, mid - 1, 0), (1, 0, 0, mid + 1, 0), (5, 0, 0, 0, 0)]
        pair.receive(rows, now_ns)
    table = pair.evaluator.table[0]
    for name in ("lambda_bps_per_unit", "resilience_half_life_s", "obi_z", "volatility_bps", "worst_minute_bps"):
        assert math.isfinite(table[name]), f"{name} has not been put to the test"
