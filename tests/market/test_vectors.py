"""The published vectors of the models, each by the plain formula and by the compiled path.

Where the compiled code has no function of a vector's shape, the evaluator is driven with a stream that has it.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
from streams import B0, START_NS, S, quotes, spot

from bot.market import features as f
from bot.market import flow as compiled_flow
from bot.market import flow_formulas as flow
from bot.market import liquidity, smoothing, volatility
from bot.market import volatility_formulas as vol
from bot.market.delta import DEPTH_ASK, DEPTH_BID, DEPTH_DELETE, END_DEPTH, delta_rows
from bot.market.evaluator import Evaluator, EvaluatorSettings
from bot.market.state import OBI_FAST, new_state

MID = 1.10001
PIP = 1e-4
BIDS, BID_SIZES = np.array([1.10000, 1.09999, 1.09997]), np.array([1.0e6, 2.0e6, 3.0e6])
ASKS, ASK_SIZES = np.array([1.10002, 1.10003, 1.10006]), np.array([0.5e6, 1.5e6, 4.0e6])
TICK_BPS = 1e4 / 110_001  # of 1e-5, at this mid


def close(x: float, **changes: float) -> object:
    return pytest.approx(x, **({"rel": 1e-9} | changes))


def evaluator(reference_units: float = math.nan, **changes: float) -> Evaluator:
    made = Evaluator(np.array([PIP]), EvaluatorSettings(**changes))
    made.set_reference_units(np.array([reference_units]), np.array([math.nan]))
    return made


def with_b0(units: float = math.nan) -> Evaluator:
    made = evaluator(units)
    made.receive(delta_rows(spot(0, 110_000, 110_002) + B0), START_NS)
    return made


def sides(made: Evaluator) -> tuple[np.ndarray, int]:
    return made.books.levels, 3


def test_1_1_time_aware_average() -> None:
    state = new_state(np.array([PIP]), EvaluatorSettings())
    mean, previous, plain, compiled = 1.0, 1.0, [1.0], []
    for t, x in ((0, 1.0), (10, 3.0), (20, 2.0), (25, 2.0)):
        compiled.append(smoothing.average(state[0], OBI_FAST, x, t * S, 10.0))
    for dt, x in ((10, 3.0), (10, 2.0), (5, 2.0)):
        mean, previous = f.ewma_step(mean, previous, dt, 10.0), x
        plain.append(mean)
    assert compiled == plain == close([1.0, 1.0, 2.0, 2.0])


def test_1_1_as_the_average_spread_of_a_stream() -> None:
    made = evaluator(spread_half_life_s=10.0)
    means = []
    for t, ticks in ((0, 10), (10, 30), (20, 20), (25, 20)):
        # The mid stands, so that bps are proportional to ticks.
        made.receive(delta_rows(spot(0, 110_000 - ticks // 2, 110_000 + ticks // 2)), START_NS + t * S)
        means.append(made.features.mean_spread_bps[0] * 110_000 / 1e5)
    assert means == close([1.0, 1.0, 2.0, 2.0])


def test_1_3_running_quantile() -> None:
    assert smoothing.quantile_step(14.0, 13.5, 0.5, 0.05) == f.quantile_step(14.0, 13.5, 0.5, 0.05) == close(13.975)
    assert smoothing.quantile_step(math.nan, 13.5, 0.5, 0.05) == f.quantile_step(math.nan, 13.5, 0.5, 0.05) == 13.5


def test_2_1_quoted_spread() -> None:
    exact = 2 * TICK_BPS
    assert with_b0().features.spread_bps[0] == close(exact)
    assert f.spread_bps(1.10000, 1.10002) == close(exact)
    assert exact == pytest.approx(0.18182, abs=5e-6)


def view(
    levels: np.ndarray,
    side: int,
    n: int,
    *,
    distance: float = 0.0,
    cap_bps: float = 0.0,
    share: float = 1.0,
    units: float = math.nan,
) -> liquidity.SideView:
    """Look at a side of the first book, with the size in question in either place."""
    found = liquidity.view_side(levels, side, 0, n, MID, distance, cap_bps, share, units, math.nan)
    swapped = liquidity.view_side(levels, side, 0, n, MID, distance, cap_bps, share, math.nan, units)
    assert swapped == pytest.approx((*found[:3], math.nan, found.cost_bps), rel=0, abs=0, nan_ok=True)
    return found


def test_3_1_depth_within_a_distance() -> None:
    levels, n = sides(with_b0())
    for side, prices, sizes, expected in ((0, BIDS, BID_SIZES, 3.0e6), (1, ASKS, ASK_SIZES, 2.0e6)):
        assert view(levels, side, n, distance=0.3 * PIP).depth_units == expected
        assert f.depth_within(prices, sizes, MID, 0.3 * PIP) == expected
        assert view(levels, side, n, distance=10 * PIP).depth_units == 6.0e6


def test_3_2_distance_weighted_depth() -> None:
    bid = 1e6 * math.exp(-0.5) + 2e6 * math.exp(-1.0) + 3e6 * math.exp(-2.0)
    ask = 0.5e6 * math.exp(-0.5) + 1.5e6 * math.exp(-1.0) + 4e6 * math.exp(-2.5)
    assert (bid, ask) == pytest.approx((1_748_295, 1_183_425), abs=1.0)
    made = with_b0()  # of 0.2 pip by its own spread
    assert (made.features.bid_weighted_units[0], made.features.ask_weighted_units[0]) == close((bid, ask))
    assert f.weighted_depth(BIDS, BID_SIZES, MID, 0.2 * PIP) == close(bid)
    assert f.weighted_depth(ASKS, ASK_SIZES, MID, 0.2 * PIP) == close(ask)


def test_3_3_book_slope() -> None:
    bid = (1 + 9 + 36) / (1 * 1 + 3 * 2 + 6 * 4) / TICK_BPS * 1e6
    ask = (0.25 + 4 + 36) / (0.5 * 1 + 2 * 2 + 6 * 5) / TICK_BPS * 1e6
    assert (bid / 1e6, ask / 1e6) == pytest.approx((16.3227, 12.8335), abs=1e-4)
    made = with_b0()
    assert (made.features.bid_slope[0], made.features.ask_slope[0]) == close((bid, ask))
    assert (f.book_slope(BIDS, BID_SIZES, MID), f.book_slope(ASKS, ASK_SIZES, MID)) == close((bid, ask))


def test_4_1_weighted_mid() -> None:
    exact = (1.10000 * 0.5 + 1.10002 * 1.0) / 1.5
    assert round(exact, 7) == 1.1000133
    assert with_b0().features.weighted_mid[0] == close(exact)
    assert f.weighted_mid(1.10000, 1.10002, 1.0e6, 0.5e6) == close(exact)


@pytest.mark.parametrize(
    ("depths", "bid_sizes", "ask_sizes", "expected"),
    [
        (1, [1.0e6], [0.5e6], 1 / 3),
        (3, BID_SIZES, ASK_SIZES, 0.0),
        (3, BID_SIZES * np.exp(-np.arange(3) / 2), ASK_SIZES * np.exp(-np.arange(3) / 2), 0.070246),
    ],
    ids=["best level", "flat", "level decay"],
)
def test_5_imbalance(depths: int, bid_sizes: np.ndarray, ask_sizes: np.ndarray, expected: float) -> None:
    """The compiled imbalance weighs by distance: levels are laid where that gives the weights of the vector."""
    assert f.imbalance(np.sum(bid_sizes), np.sum(ask_sizes)) == pytest.approx(expected, abs=5e-7)
    made = evaluator()
    message = quotes(
        0,
        [(110_000 - i, round(q)) for i, q in enumerate(np.atleast_1d(bid_sizes))],
        [(110_002 + i, round(q)) for i, q in enumerate(np.atleast_1d(ask_sizes))],
    )
    made.receive(delta_rows(message), START_NS)
    levels, length = made.books.levels, 1e6  # so long that distance hardly counts
    bid, ask = (liquidity.weighted_depth(levels, side, 0, depths, MID, length) for side in (0, 1))
    assert f.imbalance(bid, ask) == pytest.approx(expected, abs=1e-6)


def test_5_imbalance_of_the_reference_book_by_distance_through_the_whole_path() -> None:
    made = with_b0()
    expected = f.imbalance(*(made.features._asdict()[f"{side}_weighted_units"][0] for side in ("bid", "ask")))
    assert made.features.obi[0] == close(expected)
    assert made.features.obi[0] == pytest.approx((1_748_295 - 1_183_425) / (1_748_295 + 1_183_425), abs=1e-6)


LEVELS_B0 = (list(zip(BIDS, BID_SIZES, strict=True)), list(zip(ASKS, ASK_SIZES, strict=True)))
E1 = [(DEPTH_DELETE, 0, 2, 0, 0), (DEPTH_ASK, 0, 4, 110_002, 100_000_000), (END_DEPTH, 0, 0, 0, 0)]
AFTER_E1 = ([(1.10000, 1e6), (1.09997, 3e6)], [(1.10002, 1e6), *LEVELS_B0[1][1:]])
E2 = [(DEPTH_ASK, 0, 7, 110_001, 80_000_000), (END_DEPTH, 0, 0, 0, 0)]
AFTER_E2 = (AFTER_E1[0], [(1.10001, 0.8e6), *AFTER_E1[1]])
BETTER = [(DEPTH_BID, 0, 9, 110_001, 40_000_000), (END_DEPTH, 0, 0, 0, 0)]
AFTER_BETTER = ([(1.10001, 0.4e6), *LEVELS_B0[0]], LEVELS_B0[1])


def test_6_order_flow_of_every_level() -> None:
    made = with_b0()
    plain = flow.level_flows(LEVELS_B0, AFTER_E1)
    made.receive(delta_rows(E1), START_NS)
    assert made.state["total_flow"][0].tolist() == close(plain)
    assert plain[:3] == close([-0.5e6, -2.0e6, -3.0e6]), "E1: the best ask grows, a bid level vanishes"
    assert made.features.ofi[0] == close(-0.5e6 / 750_000), "over the average size at the touch, still that of B0"
    made.receive(delta_rows(E2), START_NS)
    second = flow.level_flows(AFTER_E1, AFTER_E2)
    assert second[0] == close(-0.8e6), "E2: a better ask"
    assert made.state["total_flow"][0].tolist() == close([a + b for a, b in zip(plain, second, strict=True)])


def test_6_a_bid_that_improves() -> None:
    made = with_b0()
    made.receive(delta_rows(BETTER), START_NS)
    plain = flow.level_flows(LEVELS_B0, AFTER_BETTER)
    assert made.state["total_flow"][0].tolist() == close(plain)
    # Every level of the bids moves up by one: level 2 is now the old best, level 3 the old second.
    assert plain == close([0.4e6, 1.0e6, 2.0e6, 3.0e6, 0.0])


def test_6_3_distance_weighted_flow_of_the_reference_events() -> None:
    made = with_b0()
    for message, before, after in ((E1, LEVELS_B0, AFTER_E1), (E2, AFTER_E1, AFTER_E2)):
        total = float(made.state["total_weighted_flow"][0])
        mid = (before[0][0][0] + before[1][0][0]) / 2
        made.receive(delta_rows(message), START_NS)
        expected = flow.weighted_flow(before, after, mid, 0.2 * PIP)
        assert made.state["total_weighted_flow"][0] - total == close(expected, abs=1e-3)
    # E1 by hand: 2M two ticks away vanish, half a million comes a tick away; decay of two ticks.
    by_hand = -2.0e6 * math.exp(-1.0) - 0.5e6 * math.exp(-0.5)
    assert flow.weighted_flow(LEVELS_B0, AFTER_E1, MID, 0.2 * PIP) == close(by_hand, rel=1e-9)


def test_6_5_kyles_lambda() -> None:
    sums = flow.RegressionSums()
    for x, y in ((10.0, 1.0), (-5.0, -1.0), (20.0, 3.0)):
        sums = sums.then(x, y, 0.5)
    assert (sums.xx, sums.xy) == (437.5, 65.0)
    plain = flow.kyle_lambda(sums, ridge_frac=0.0)
    assert plain == compiled_flow.lambda_of(*sums, 0.0)
    assert plain == (close(65 / 437.5), close(65**2 / (437.5 * sums.yy)))
    assert plain == pytest.approx((0.148571, 0.990476), abs=5e-7)


def test_6_5_as_the_regression_of_a_stream() -> None:
    """Buckets of ten seconds through the record: the same pairs, half of the weight lost from one to the next."""
    state = new_state(np.array([PIP]), EvaluatorSettings(lambda_half_life_s=600.0))
    st, mid, total, sums = state[0], 1.1, 0.0, flow.RegressionSums()
    st["mean"][6] = 1.0  # the usual weighted depth
    compiled_flow.end_bucket(st, mid, START_NS)
    for k, (x, y) in enumerate(((10.0, 1.0), (-5.0, -1.0), (20.0, 3.0)), start=1):
        total += x
        mid /= 1 - y / 1e4
        st["total_weighted_flow"] = total
        compiled_flow.end_bucket(st, mid, START_NS + 10 * k * S)
        sums = sums.then(x, y, 2 ** (-10 / 600))
    assert [float(st[name]) for name in ("sxx", "sxy", "syy", "sn")] == close(list(sums))


def test_a_bucket_sees_its_own_flow_however_much_there_was_before() -> None:
    """A running total over a usual depth that drifts would itself drift, by far more than a bucket's flow."""
    st = new_state(np.array([PIP]), EvaluatorSettings())[0]
    st["total_weighted_flow"], st["mean"][6] = 1e9, 1e6
    compiled_flow.end_bucket(st, 1.1, START_NS)
    st["total_weighted_flow"], st["mean"][6] = 1e9 + 2e6, 1.01e6
    compiled_flow.end_bucket(st, 1.1, START_NS + 10 * S)
    assert st["sxx"] == close((2e6 / 1.01e6) ** 2)


@pytest.mark.parametrize(
    ("units", "side", "vwap", "cost"),
    [(2.5e6, 1, 1.100034, 0.218180), (2.5e6, 0, 1.099994, 0.145453)],
    ids=["buy", "sell"],
)
def test_8_1_walking_the_book(units: float, side: int, vwap: float, cost: float) -> None:
    levels, n = sides(with_b0())
    prices, sizes, sign = ((BIDS, BID_SIZES, -1), (ASKS, ASK_SIZES, 1))[side]
    assert f.walk(prices, sizes, units) == (close(vwap), units, 0.0)
    plain = f.walk_cost_bps(prices, sizes, MID, units, sign)
    assert plain == pytest.approx(cost, abs=5e-7)
    assert plain == close(view(levels, side, n, units=units).cost_bps)
    assert plain == close(with_b0(units).features._asdict()[("sell_cost_bps", "buy_cost_bps")[side]][0])


def test_8_1_a_book_too_shallow() -> None:
    levels, n = sides(with_b0())
    vwap, filled, unfilled = f.walk(ASKS, ASK_SIZES, 7.0e6)
    assert (filled, unfilled) == (6.0e6, 1.0e6)
    assert vwap == pytest.approx(1.1000492, abs=5e-8)
    slope = (0.25 + 4 + 36) / (0.5 * 1 + 2 * 2 + 6 * 5) / TICK_BPS * 1e6
    by_hand = (6.0e6 * 1e4 * (vwap - MID) / MID + 1.0e6 * (5 * TICK_BPS + 1.0e6 / slope)) / 7.0e6
    assert f.walk_cost_bps(ASKS, ASK_SIZES, MID, 7.0e6, 1) == close(by_hand)
    assert view(levels, 1, n, units=7.0e6).cost_bps == close(by_hand)


def test_8_2_square_root_law() -> None:
    for law in (f.square_root_bps, liquidity.square_root_bps):
        assert law(60.0, 100.0, 1e6) == close(0.6)
        assert law(60.0, 400.0, 1e6) == close(1.2)


def test_8_3_impact_takes_the_greater_of_cost_with_what_stays_and_the_law() -> None:
    for impact in (f.impact_bps, liquidity.impact_bps):
        assert impact(0.2, 1e-6, 1e6, 0.6) == close(0.7)
        assert impact(0.2, 1e-6, 1e6, 0.8) == 0.8
        assert impact(0.2, math.nan, 1e6, math.nan) == 0.2
        assert math.isnan(impact(math.nan, 1e-6, 1e6, 0.8))


def test_10_1_variance_rate() -> None:
    expected = 1.6834175e-10
    for step in (vol.variance_step, volatility.variance_step):
        assert step(1e-10, 1e-4, 30.0, 60.0) == pytest.approx(expected, rel=5e-8)
    assert vol.annual_frac(vol.variance_step(1e-10, 1e-4, 30.0, 60.0)) == pytest.approx(0.060541, abs=5e-7)
    assert vol.variance_step(1e-10, 1e-4, 30.0, 60.0) == close(volatility.variance_step(1e-10, 1e-4, 30.0, 60.0))


def test_10_1_as_the_volatility_of_a_stream() -> None:
    """Returns of alternate size thirty seconds apart: the record keeps what the plain sum over all of them gives."""
    made = evaluator(least_samples=1.0, volatility_half_life_s=60.0)
    mids = [110_000, 110_011, 110_000, 110_040, 110_030]
    for k, mid in enumerate(mids):
        made.receive(delta_rows(spot(0, mid - 1, mid + 1)), START_NS + 30 * k * S)
    returns = [math.log(b / a) for a, b in pairwise(mids)]
    plain = 1e4 * math.sqrt(vol.weighted_variance(returns, [30.0] * 4, 60.0))
    assert made.features.volatility_bps[0] == close(plain)


def test_10_2_and_10_3_realised_and_bipower_variation() -> None:
    r = np.array([1.0, -2.0, 10.0, 1.0])
    assert vol.realised_variance(r) == 106.0
    assert vol.bipower_variation(r) == close(math.pi / 2 * 4 / 3 * 32)
    assert vol.bipower_variation(r) == pytest.approx(67.0206, abs=5e-5)
    assert vol.jump_share(r) == pytest.approx(0.367730, abs=5e-7)
    assert vol.jump_share(np.array([1.0, 1.0, 1.0, 1.0])) == 0.0


def test_14_5_capacity_takes_half_of_every_level() -> None:
    levels, n = sides(with_b0())
    for side, prices, sizes, sign in ((0, BIDS, BID_SIZES, -1), (1, ASKS, ASK_SIZES, 1)):
        for cap in (0.0, 0.05, 0.1, 0.15, 0.3, 5.0):
            for share in (0.0, 0.4, 1.0):
                plain = f.capacity_units(prices, sizes, MID, cap, sign, share)
                assert view(levels, side, n, cap_bps=cap, share=share).capacity_units == close(plain, abs=1e-6)
    # Half of 1M and 2M cost (0.5 + 2) ticks over 1.5M; the third level, four ticks away, up to a cap of two ticks.
    by_hand = 1.5e6 + (2 * 1.5e6 - 2.5e6) / (4 - 2)
    assert f.capacity_units(BIDS, BID_SIZES, MID, 2 * TICK_BPS, -1) == close(by_hand)


def test_3_4_resilience_finds_the_half_life_of_a_gap_that_closes() -> None:
    gaps = 2.0 * 0.5 ** (np.arange(80) / 20)
    plain = vol.recovery_half_life_s(gaps, kept=2 ** (-1 / 600))
    assert plain == close(math.log(2) / (1 - 0.5 ** (1 / 20)))
    assert vol.recovery_half_life_s(gaps[::-1], kept=0.99) == math.inf
    made = evaluator()
    state, table = made.state, made.table
    for gap in gaps:
        volatility.follow_recovery(state[0], table[0], gap, 1.0)
    assert table["resilience_half_life_s"][0] == close(plain)
