"""Intervals, the deflated Sharpe ratio and the test of superior ability, against closed forms and planted truth.

What needs the libraries for it stands in this file alone: they take seconds to import.
"""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from arm_runs import random_run, run_of

from bot.research.metrics.bar_figures import exit_cost_p99_bps, mean_leverage, net_sharpe, shortfall_bps
from bot.research.metrics.bars import Bars, bars_of
from bot.research.metrics.deflated_sharpe import (
    deflated_sharpe,
    expected_best_sharpe,
    independent_tries,
    probability_above,
)
from bot.research.metrics.interval import (
    Sampling,
    bar_interval,
    optimal_block_s,
    paired_bar_interval,
    paired_window_interval,
    window_interval,
)
from bot.research.metrics.plain import plain
from bot.research.metrics.superior_ability import _side_by_side, gains_of, superior_ability
from bot.research.metrics.windows import WINDOW, mean_drawdown_frac

NORMAL = NormalDist()
QUICK = Sampling(block_s=3600, resamples=300, seed=4)


def mean_return(bars: Bars, chosen: np.ndarray) -> float:
    return float(bars.rows["return_frac"][chosen].mean())


def _bars(returns) -> Bars:
    """Bars of five minutes with these returns: a row a minute, moving with the last row of each bar."""
    steps = np.ones(5 * len(returns))
    steps[4::5] = 1 + np.asarray(returns)
    return bars_of(run_of(1000 * np.cumprod(steps), at_s=60 * np.arange(len(steps))))


def _autoregressive(source, count, keeps, mean=0.0, size=1e-4):
    shocks = source.standard_normal(count + 100) * size
    found = np.empty(count + 100)
    found[0] = shocks[0]
    for i in range(1, len(found)):
        found[i] = keeps * found[i - 1] + shocks[i]
    return found[100:] + mean


def _windows(drawdowns):
    windows = np.zeros(len(drawdowns), WINDOW)
    windows["from_ns"], windows["drawdown_frac"] = np.arange(len(drawdowns)), drawdowns
    return windows


# -- intervals


def test_the_interval_of_a_mean_is_as_wide_as_the_closed_form_of_its_variance() -> None:
    # Politis and Romano (1994), lemma 1: what the variance of a mean is over all draws of the stationary bootstrap.
    returns = _autoregressive(np.random.default_rng(1), 600, 0.6)
    bars = _bars(returns)
    centred = bars.rows["return_frac"] - bars.rows["return_frac"].mean()
    count, stops = len(centred), 1 / 12
    variance = float((centred**2).mean())
    for lag in range(1, count):
        kept = (1 - lag / count) * (1 - stops) ** lag + lag / count * (1 - stops) ** (count - lag)
        variance += 2 * kept * float((centred[:-lag] * centred[lag:]).sum()) / count
    wanted = 2 * NORMAL.inv_cdf(0.975) * math.sqrt(variance / count)
    found = bar_interval(mean_return, bars, replace(QUICK, resamples=1000))
    assert found.high - found.low == pytest.approx(wanted, rel=0.08)
    assert found.estimate == pytest.approx(float(returns.mean()))
    assert (found.block_units, found.blocks, found.unit, found.resamples) == (12, 50.0, "bar", 1000)
    # Blocks matter: single bars would take the mean for far surer than it is.
    single = bar_interval(mean_return, bars, replace(QUICK, block_s=300))
    assert single.high - single.low < 0.7 * wanted


def test_draws_are_those_of_their_seed_and_both_methods_read_the_same_draws() -> None:
    bars = _bars(_autoregressive(np.random.default_rng(2), 300, 0.3))
    found = bar_interval(net_sharpe, bars, QUICK)
    assert bar_interval(net_sharpe, bars, QUICK) == found
    assert bar_interval(net_sharpe, bars, replace(QUICK, seed=5)).low != found.low
    percentile, basic = found.bounds
    assert (percentile.method, basic.method) == ("percentile", "basic")
    assert basic.low == pytest.approx(2 * found.estimate - percentile.high)
    assert basic.high == pytest.approx(2 * found.estimate - percentile.low)


def test_bca_corrects_where_it_can_and_gives_way_where_it_cannot() -> None:
    both = replace(QUICK, methods=("bca", "percentile"))
    skewed = np.random.default_rng(3).exponential(1e-4, 240)
    found = bar_interval(mean_return, _bars(skewed), both)
    assert found.method == "bca"
    assert found.bounds[0].high > found.bounds[1].high  # a skewed mean has its longer side above
    fixed = paired_bar_interval(mean_return, _bars(skewed), _bars(skewed), sampling=both)
    assert (fixed.method, fixed.low, fixed.high, fixed.remark) == ("percentile", 0.0, 0.0, "no interval by bca")


def test_a_pair_of_arms_is_drawn_at_the_same_places() -> None:
    shared = _autoregressive(np.random.default_rng(4), 480, 0.0, size=1e-3)
    better = shared + 1e-5
    difference = paired_bar_interval(mean_return, _bars(better), _bars(shared), sampling=QUICK)
    assert difference.low == pytest.approx(1e-5, rel=1e-3)
    assert difference.high == pytest.approx(1e-5, rel=1e-3)
    alone = bar_interval(mean_return, _bars(better), QUICK)
    assert alone.high - alone.low > 1e-4


def test_a_reduction_is_one_less_the_quotient_whatever_the_draw() -> None:
    run = random_run(6, count=4000, step_s=10)
    halved = replace(run, exit_cost_bps=run.exit_cost_bps / 2, leverage=run.leverage * 0.75)
    arm, other = bars_of(halved), bars_of(run)
    for figure, wanted in ((exit_cost_p99_bps, 0.5), (mean_leverage, 0.25)):
        found = paired_bar_interval(figure, arm, other, "reduction", QUICK)
        assert (found.estimate, found.low, found.high) == pytest.approx((wanted, wanted, wanted))
    shown = bar_interval(exit_cost_p99_bps, other, QUICK)
    assert shown.low < shown.estimate <= shown.high


def test_arms_on_other_clocks_are_not_paired() -> None:
    with pytest.raises(ValueError, match=r"different bars \(200 and 100\)"):
        paired_bar_interval(mean_return, _bars(np.zeros(200)), _bars(np.zeros(100)))
    with pytest.raises(ValueError, match="different windows"):
        paired_window_interval(mean_drawdown_frac, _windows([1, 2]), _windows([1]))


def test_too_few_blocks_say_nothing_and_say_so() -> None:
    found = bar_interval(mean_return, _bars(np.random.default_rng(5).normal(0, 1, 118) * 1e-4), QUICK)
    assert not found.is_known
    assert math.isnan(found.low)
    assert found.remark == "unknown: 9.83 blocks of 12 bars, and fewer than 10 say nothing"
    assert plain(found)["low"] is None
    few = window_interval(mean_drawdown_frac, _windows([0.1] * 9), QUICK)
    assert few.remark == "unknown: 9 blocks of 1 window, and fewer than 10 say nothing"
    assert window_interval(mean_drawdown_frac, _windows([]), QUICK).remark.endswith("no figure to begin with")


def test_what_has_no_figure_has_no_interval() -> None:
    bars = bars_of(random_run(8, count=3000, step_s=20))
    assert not bar_interval(shortfall_bps, _bars(np.zeros(240)), QUICK).is_known
    # Fills in few bars: some draws have none, and nothing is known of how far off those would be.
    rows = bars.rows.copy()
    rows["notional"][rows["notional"] != rows["notional"].max()] = 0.0
    found = bar_interval(shortfall_bps, replace(bars, rows=rows), QUICK)
    assert math.isfinite(found.estimate)
    assert (found.is_known, found.bounds) == (False, ())
    assert "some draws have no figure" in found.remark


def test_windows_are_drawn_one_by_one() -> None:
    drawdowns = np.random.default_rng(9).exponential(0.01, 60)
    found = window_interval(mean_drawdown_frac, _windows(drawdowns), replace(QUICK, resamples=1000))
    wanted = 2 * NORMAL.inv_cdf(0.975) * drawdowns.std() / math.sqrt(60)
    assert found.high - found.low == pytest.approx(wanted, rel=0.1)
    half = paired_window_interval(mean_drawdown_frac, _windows(drawdowns / 2), _windows(drawdowns), "reduction", QUICK)
    assert (half.low, half.high) == pytest.approx((0.5, 0.5))


def test_the_block_that_suits_returns_grows_with_their_memory() -> None:
    source = np.random.default_rng(10)
    short, long = (optimal_block_s(_bars(_autoregressive(source, 800, keeps))) for keeps in (0.0, 0.9))
    assert 300 <= short < 2500 < long
    assert math.isnan(optimal_block_s(_bars(np.zeros(50))))


@pytest.mark.slow
@pytest.mark.parametrize(("keeps", "block_s"), [(0.0, 300), (0.5, 3600)])
def test_nine_of_ten_intervals_hold_the_truth_on_autoregressive_returns(keeps, block_s) -> None:
    source, held = np.random.default_rng(11), {"mean": 0, "sharpe": 0}
    sampling, tries, count = Sampling(block_s=block_s, resamples=200), 150, 600
    truth = 3e-5
    sharpe = truth / (1e-4 / math.sqrt(1 - keeps**2)) * math.sqrt(252 * 288)
    for seed in range(tries):
        bars = _bars(_autoregressive(source, count, keeps, mean=truth))
        for name, figure, wanted in (("mean", mean_return, truth), ("sharpe", net_sharpe, sharpe)):
            found = bar_interval(figure, bars, replace(sampling, seed=seed))
            held[name] += found.low <= wanted <= found.high
    # 95 % nominal; with 50 blocks the bootstrap is known to fall a little short of it.
    assert all(0.86 <= times / tries <= 0.99 for times in held.values()), held


# -- the deflated Sharpe ratio


@pytest.mark.parametrize(("tries", "luck", "wanted"), [(100, 0.1132, 0.9004), (46, 0.1004, 0.9505)])
def test_the_deflated_sharpe_ratio_is_that_of_the_paper(tries, luck, wanted) -> None:
    # Bailey and López de Prado (2014), their example: 2.5 a year from 1250 days of 250 a year, variance of tries 1/2.
    best = expected_best_sharpe(math.sqrt(0.5 / 250), tries)
    assert best == pytest.approx(luck, abs=5e-5)
    assert probability_above(2.5 / math.sqrt(250), best, 1250, -3, 10) == pytest.approx(wanted, abs=5e-5)


def test_an_arm_is_deflated_by_the_spread_of_all_arms() -> None:
    returns = np.random.default_rng(12).normal(0, 1e-4, (8, 500))
    returns[3] += 2e-5
    found = deflated_sharpe(returns, 3, tries=8)
    ratios = [each.mean() / each.std(ddof=1) for each in returns]
    luck = np.std(ratios, ddof=1) * (
        (1 - 0.5772156649) * NORMAL.inv_cdf(1 - 1 / 8) + 0.5772156649 * NORMAL.inv_cdf(1 - 1 / (8 * math.e))
    )
    ours = returns[3]
    z = (ours - ours.mean()) / ours.std()
    spread = math.sqrt(1 - (z**3).mean() * ratios[3] + ((z**4).mean() - 1) / 4 * ratios[3] ** 2)
    assert found.luck == pytest.approx(luck)
    assert found.probability_frac == pytest.approx(NORMAL.cdf((ratios[3] - luck) * math.sqrt(499) / spread))
    assert found.probability_frac < deflated_sharpe(returns, 3, tries=1).probability_frac
    assert deflated_sharpe(returns * 7, 3, tries=8).probability_frac == pytest.approx(found.probability_frac)


def test_the_best_of_many_tries_at_nothing_is_as_expected() -> None:
    draws = np.random.default_rng(13).normal(0, 1, (4000, 50)).max(axis=1)
    assert expected_best_sharpe(1.0, 50) == pytest.approx(draws.mean(), rel=0.02)


def test_arms_that_move_together_are_fewer_tries() -> None:
    source = np.random.default_rng(14)
    noise, shared = source.normal(0, 1, (6, 3000)), source.normal(0, 1, 3000)
    assert independent_tries(noise) == pytest.approx(6, abs=0.2)
    assert independent_tries(noise + shared) == pytest.approx(0.5 + 0.5 * 6, abs=0.2)
    assert independent_tries(np.vstack([shared, 2 * shared, 0 * shared])) == pytest.approx(1)


def test_returns_that_do_not_vary_have_no_deflated_sharpe_ratio() -> None:
    returns = np.vstack([np.zeros(50), np.random.default_rng(15).normal(0, 1, 50)])
    assert math.isnan(deflated_sharpe(returns, 0).probability_frac)
    assert deflated_sharpe(returns, 1).luck == 0.0  # one try
    assert math.isnan(probability_above(2.0, 0.0, 100, 3.0, 1.0))
    with pytest.raises(ValueError, match="no arm 2 among 2"):
        deflated_sharpe(returns, 2)


# -- superior ability


def _arms(seed, count=480, **gains):
    source = np.random.default_rng(seed)
    shared = source.normal(0, 1e-4, count)
    arms = {"constant": _bars(shared)}
    for name, (gain, noise) in gains.items():
        arms[name] = _bars(shared + gain + source.normal(0, noise, count))
    return arms


def _tested(arms, benchmark, sampling=QUICK):
    return superior_ability([gains_of(arms, benchmark)], sampling)


def test_an_arm_that_is_better_is_found_beside_a_noisy_one_and_nothing_where_none_is() -> None:
    arms = _arms(16, good=(2e-6, 1e-5), poor=(-1e-6, 1e-5), noisy=(0.0, 1e-3))
    found = _tested(arms, "constant")
    assert found.best == "good"
    assert found.p_lower <= found.p_consistent <= found.p_upper < 0.02
    null = _tested(_arms(17, one=(0.0, 1e-5), two=(0.0, 1e-4), three=(0.0, 1e-3)), "constant")
    assert null.p_consistent > 0.05
    assert _tested(arms, "constant") == found
    turned = dict(reversed(arms.items()))
    assert _tested(turned, "constant").p_consistent == pytest.approx(found.p_consistent, abs=0.01)


def test_the_test_is_hansens_with_draws_of_our_own() -> None:
    arms = _arms(18, one=(1.0e-6, 1e-5), two=(-1e-6, 2e-5), three=(-4e-5, 1e-5))
    found = _tested(arms, "constant", replace(QUICK, resamples=1000))
    base = arms["constant"].rows["return_frac"]
    gains = np.column_stack([arms[name].rows["return_frac"] - base for name in ("one", "two", "three")])
    count, source, means = len(gains), np.random.default_rng(99), []
    for _ in range(1000):
        is_new = np.append(True, source.random(count - 1) < 1 / 12)
        begin = np.maximum.accumulate(np.where(is_new, np.arange(count), 0))
        places = (source.integers(count, size=count)[begin] + np.arange(count) - begin) % count
        means.append(gains[places].mean(axis=0))
    means = np.array(means)
    mean, error = gains.mean(axis=0), means.std(axis=0)
    t = max((mean / error).max(), 0.0)
    centre = {"p_lower": np.maximum(mean, 0), "p_upper": mean}
    centre["p_consistent"] = np.where(mean >= -error * math.sqrt(2 * math.log(math.log(count))), mean, 0.0)
    for name, around in centre.items():
        drawn = np.maximum(((means - around) / error).max(axis=1), 0.0)
        assert getattr(found, name) == pytest.approx((drawn > t).mean(), abs=0.05), name
    assert found.best_t == pytest.approx(t, rel=0.1)


def test_what_cannot_be_tested_is_unknown_or_refused() -> None:
    arms = _arms(19, count=240, same=(0.0, 0.0), other=(0.0, 1e-5))
    found = _tested(arms, "constant")
    assert (found.arms, found.remark) == (("other",), "no different from the benchmark, left out: same")
    del arms["other"]
    assert _tested(arms, "constant").remark == "unknown: no arm ever differs from constant"
    short = _tested(_arms(20, count=100, other=(0.0, 1e-5)), "constant")
    assert not short.is_known
    assert short.remark == "unknown: 8.33 blocks, and fewer than 10 say nothing"
    lost = replace(arms["same"], rows=arms["same"].rows.copy())
    lost.rows["return_frac"][7] = np.nan
    assert _tested({**arms, "lost": lost}, "constant").remark == "unknown: some returns are unknown"
    with pytest.raises(ValueError, match="benchmark best"):
        _tested(arms, "best")
    with pytest.raises(ValueError, match="arm later has other bars"):
        _tested({**arms, "later": _bars(np.zeros(10))}, "constant")


def test_one_table_of_many_that_looks_good_by_chance_does_not_among_all_of_them() -> None:
    tables = {f"t{seed}": _arms(seed, one=(0.0, 1e-5), two=(0.0, 3e-5)) for seed in range(48, 54)}
    alone = {name: _tested(arms, "constant").p_consistent for name, arms in tables.items()}
    assert min(alone.values()) < 0.05  # nothing but noise, and six looks at it
    gains = [gains_of(arms, "constant", name) for name, arms in tables.items()]
    together = superior_ability(gains, QUICK)
    assert together.p_consistent > 0.1
    assert (len(together.arms), together.tables) == (12, 6)
    assert together.best.endswith(f"({min(alone, key=lambda name: alone[name])})")
    with pytest.raises(ValueError, match="one benchmark, not constant, one"):
        superior_ability([*gains, gains_of(tables["t48"], "one")], QUICK)


def test_tables_are_tested_as_one_table_of_all_their_arms_each_against_its_own_benchmark() -> None:
    arms = _arms(21, one=(1e-6, 1e-5), two=(0.0, 2e-5), three=(5e-7, 1e-5))
    base = arms["constant"].rows["return_frac"]
    # A table of other returns, in which `three` gains over its benchmark what it gains over the one of all.
    other = 3 * base + 1e-5
    gain = arms["three"].rows["return_frac"] - base
    apart = {"constant": _bars(other), "three": _bars(other + gain)}
    first = {name: arms[name] for name in ("constant", "one", "two")}
    found = superior_ability([gains_of(first, "constant"), gains_of(apart, "constant")], QUICK)
    whole = _tested(arms, "constant")
    assert found.arms == whole.arms and found.best == whole.best
    for name in ("p_lower", "p_consistent", "p_upper", "best_t"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name), abs=1e-6), name


def test_a_bar_that_one_table_has_not_is_no_gain_there_and_stands_beside_those_of_the_others() -> None:
    arms = _arms(22, count=8, one=(1e-6, 1e-5))
    short = {name: replace(bars, rows=np.delete(bars.rows, [5, 6])) for name, bars in arms.items()}
    tables = [gains_of(arms, "constant", "whole"), gains_of(short, "constant", "short")]
    gains, open_s = _side_by_side(tables)
    (whole,) = tables[0].frac.T
    assert gains[:, 0].tolist() == whole.tolist()
    assert gains[:, 1].tolist() == [*whole[:5], 0.0, 0.0, whole[7]]
    assert open_s.tolist() == [300.0] * 8
