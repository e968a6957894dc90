"""Figures of a run: against sums done by hand, a loop over rows as oracle, and what must not change them."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from arm_runs import MONDAY_NS, fill, fills_of, random_run, run_of
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.research.metrics import bar_figures
from bot.research.metrics.arm_run import SECOND_NS, Span, TradingTime
from bot.research.metrics.bar_figures import BAR_FIGURES
from bot.research.metrics.bars import bars_of
from bot.research.metrics.interval import bar_interval, paired_bar_interval
from bot.research.metrics.plain import plain
from bot.research.metrics.summary import summary_of
from bot.research.metrics.windows import WINDOW_FIGURES

# A market that is open ten seconds a day, ten days a year, so that sums by hand stay small.
SHORT = TradingTime(day_s=10.0, days_per_year=10.0)


def _figure(name, run, bar_s=300.0, trading_time=None):
    bars = bars_of(run, trading_time, bar_s)
    return BAR_FIGURES[name](bars, bars.everything)


# -- by hand


def test_volatility_and_sharpe_of_three_bars_are_those_of_a_sum_by_hand() -> None:
    # Bars of two seconds end at 100, 110, 99: returns 0, 0.1, -0.1. Six seconds of a year of a hundred.
    performance = summary_of(run_of([100, 100, 105, 110, 90, 99]), trading_time=SHORT, bar_s=2).performance
    assert performance.realised_volatility_frac == pytest.approx(math.sqrt(0.02 * 100 / 6))
    assert performance.net_sharpe == pytest.approx(0.0, abs=1e-12)
    assert performance.net_return_frac == pytest.approx(-0.01)
    assert performance.trading_days == pytest.approx(0.6)
    drawdown = performance.max_drawdown
    assert drawdown.depth_frac == pytest.approx(20 / 110)
    assert (drawdown.from_ns, drawdown.to_ns) == (MONDAY_NS + 3 * SECOND_NS, MONDAY_NS + 4 * SECOND_NS)


def test_sharpe_is_mean_over_deviation_times_the_root_of_bars_a_year() -> None:
    equity = np.array([100, 101, 100.5, 102, 103])
    returns = np.append(0.0, equity[1:] / equity[:-1] - 1)
    wanted = returns.mean() / returns.std(ddof=1) * math.sqrt(100)  # a bar a second, a hundred seconds a year
    assert _figure("net_sharpe", run_of(equity), 1.0, SHORT) == pytest.approx(wanted)


def test_a_move_over_closed_hours_is_profit_but_no_volatility_and_no_time() -> None:
    run = run_of([100, 100, 80, 80], at_s=[0, 1, 100_001, 100_002])
    assert _figure("net_return_frac", run) == pytest.approx(-0.2)
    assert _figure("realised_volatility_frac", run) == pytest.approx(0.0, abs=1e-12)
    assert _figure("max_drawdown_frac", run) == pytest.approx(0.2)
    bars = bars_of(run)
    assert bar_figures.trading_days(bars, bars.everything) * 86_400 == pytest.approx(4)


def test_exit_cost_quantiles_leave_out_what_is_flat_or_unknown() -> None:
    cost = np.arange(1.0, 103.0)
    leverage = np.ones(102)
    leverage[100], cost[101] = 0.0, np.nan  # 1 to 100 remain
    exposure = summary_of(run_of(np.full(102, 1000.0), leverage=leverage, exit_cost_bps=cost)).exposure
    assert (exposure.exit_cost_p50_bps, exposure.exit_cost_p95_bps, exposure.exit_cost_p99_bps) == (50, 95, 99)
    assert exposure.exit_cost_known_frac == pytest.approx(100 / 101)
    assert exposure.mean_leverage == pytest.approx(101 / 102)


def test_leverage_is_a_mean_over_the_time_in_which_it_is_known() -> None:
    leverage = np.array([1.0, np.nan, 3.0, 3.0, 3.0])
    assert _figure("mean_leverage", run_of(np.full(5, 1000.0), leverage=leverage)) == pytest.approx(10 / 4)
    assert math.isnan(_figure("mean_leverage", run_of(np.full(5, 1000.0), leverage=np.full(5, np.nan))))


def test_an_exit_that_was_not_there_is_an_infinite_cost_and_not_an_unknown_one() -> None:
    cost = np.append(np.arange(1.0, 98.0), [np.inf, np.inf, np.nan])  # 97 known, two without an exit, one unknown
    run = run_of(np.full(100, 1000.0), leverage=np.ones(100), exit_cost_bps=cost)
    exposure = summary_of(run).exposure
    assert (exposure.exit_cost_p50_bps, exposure.exit_cost_p99_bps) == (50, math.inf)
    assert exposure.exit_cost_of_equity_p99_bps == math.inf
    assert (exposure.exit_cost_known_frac, exposure.no_exit_frac) == (pytest.approx(0.99), pytest.approx(0.02))
    bars = bars_of(run)
    assert bar_interval(BAR_FIGURES["exit_cost_p99_bps"], bars).remark == "unknown: the figure is infinite"
    half = bars_of(replace(run, exit_cost_bps=np.where(np.isinf(run.exit_cost_bps), 1.0, run.exit_cost_bps)))
    for ours, theirs in ((half, bars), (bars, half), (bars, bars)):
        for how in ("difference", "reduction"):
            found = paired_bar_interval(BAR_FIGURES["exit_cost_p99_bps"], ours, theirs, how)
            assert math.isnan(found.estimate) and not found.is_known


def test_a_tail_is_found_where_the_largest_costs_were_not_drawn() -> None:
    count = 6000  # twenty bars, each dearer than the last
    bars = bars_of(run_of(np.full(count, 1000.0), leverage=np.ones(count), exit_cost_bps=np.arange(1.0, count + 1)))
    first = int(np.argmin(bars.rows["time_ns"]))
    assert bar_figures.exit_cost_p99_bps(bars, np.array([first])) == 297.0
    assert bar_figures.exit_cost_p99_bps(bars, bars.everything) == 5940.0


def test_exit_cost_of_equity_counts_being_flat_as_nothing() -> None:
    leverage = np.zeros(1000)
    leverage[:20] = 3.0
    run = run_of(np.full(1000, 1000.0), leverage=leverage, exit_cost_bps=np.where(leverage > 0, 2.0, np.nan))
    assert _figure("exit_cost_of_equity_p99_bps", run) == pytest.approx(6.0)
    leverage[5:20] = 0.0
    assert _figure("exit_cost_of_equity_p99_bps", replace(run, leverage=leverage[:, None])) == 0.0


# -- a loop over rows as oracle


def _plain_figures(run, trading_time, bar_s=300):
    """Every figure from rows and fills one at a time, in plain Python."""
    at = run.time_ns.tolist()
    open_s, growth, gap, bar = [], [], [], []
    for i, now in enumerate(at):
        later = (at[i + 1] - now) / 1e9 if i + 1 < len(at) else 1.0
        open_s.append(later if later <= 300 else 1.0)
        growth.append(run.equity[i] / run.equity[i - 1] if i else 1.0)
        gap.append(bool(i) and now - at[i - 1] > 300e9)
        bar.append(now // (bar_s * SECOND_NS))
    total_s = sum(open_s)
    days, years = total_s / trading_time.day_s, total_s / trading_time.year_s
    names = sorted(set(bar))
    closes = [run.equity[max(i for i in range(len(at)) if bar[i] == name)] for name in names]
    returns = [close / before - 1 for close, before in zip(closes, [run.equity[0], *closes], strict=False)]
    opened = [math.prod(g for g, b, c in zip(growth, bar, gap, strict=True) if b == name and not c) for name in names]
    deviation = np.std(returns, ddof=1)
    found = {
        "net_return_frac": run.equity[-1] / run.equity[0] - 1,
        "net_sharpe": np.mean(returns) / deviation * math.sqrt(len(returns) / years),
        "realised_volatility_frac": math.sqrt(sum((each - 1) ** 2 for each in opened) / years),
        "max_drawdown_frac": max(1 - late / early for i, early in enumerate(closes) for late in closes[i:]),
    }
    sums = dict.fromkeys(
        ("slip", "fee", "charged", "delay", "notional", "impact", "impacted", "e", "es", "ei", "turn"), 0.0
    )
    for each in run.fills:
        side = 1 if each["units"] > 0 else -1
        fee, size = each["commission"], each["notional"]
        slip = side * (each["price"] / each["mid_at_decision"] - 1) * size
        delay = side * (each["mid_at_fill"] / each["mid_at_decision"] - 1) * size
        sums["fee"] += fee
        sums["charged"] += size
        sums["turn"] += size / each["equity"]
        sums["e"] += fee / each["equity"]
        if not math.isnan(slip):
            sums["slip"], sums["delay"] = sums["slip"] + slip, sums["delay"] + delay
            sums["notional"] += size
            sums["e"], sums["es"] = sums["e"] + slip / each["equity"], sums["es"] + slip / each["equity"]
        if not math.isnan(each["own_impact_bps"]):
            sums["impact"] += each["own_impact_bps"] * size
            sums["impacted"] += size
            sums["ei"] += each["own_impact_bps"] * size / each["equity"]
    found |= {
        "shortfall_bps": 1e4 * (sums["slip"] / sums["notional"] + sums["fee"] / sums["charged"]),
        "slippage_bps": 1e4 * sums["slip"] / sums["notional"],
        "delay_bps": 1e4 * sums["delay"] / sums["notional"],
        "own_impact_bps": sums["impact"] / sums["impacted"],
        "shortfall_bps_per_day": 1e4 * sums["e"] / days,
        "slippage_bps_per_day": 1e4 * sums["es"] / days,
        "own_impact_bps_per_day": sums["ei"] / days,
        "turnover_per_day": sums["turn"] / days,
    }
    gross = capped = crisis = 0.0
    samples = []
    for i, lasting in enumerate(open_s):
        for s in range(run.leverage.shape[1]):
            gross += abs(run.leverage[i, s]) * lasting
            capped += bool(run.is_capped[i, s]) * lasting / run.leverage.shape[1]
            crisis += bool(run.crisis_level[i, s] > 0) * lasting / run.leverage.shape[1]
            if run.leverage[i, s] != 0 and not math.isnan(run.exit_cost_bps[i, s]):
                samples += [run.exit_cost_bps[i, s]] * round(lasting)
    found |= {"mean_leverage": gross / total_s, "capped_frac": capped / total_s, "crisis_frac": crisis / total_s}
    for percent in (50, 95, 99):
        quantile = np.quantile(samples, percent / 100, method="inverted_cdf")
        found[f"exit_cost_p{percent}_bps"] = float(quantile)
    return found


def test_every_figure_is_that_of_a_loop_over_rows() -> None:
    run = random_run(7, count=3000)
    wanted = _plain_figures(run, TradingTime())
    assert {name: _figure(name, run) for name in wanted} == pytest.approx(wanted, rel=1e-9)
    assert set(BAR_FIGURES) - set(wanted) == {"resize_cost_bps_per_day", "exit_cost_of_equity_p99_bps"}


# -- what must not change a figure, and what must


@pytest.fixture(scope="module")
def some_run():
    return random_run(3, count=2500)


@settings(max_examples=4, deadline=None)
@given(scale=st.floats(1e-3, 1e6))
def test_another_deposit_currency_changes_no_figure(some_run, scale) -> None:
    fills = some_run.fills.copy()
    for name in ("commission", "notional", "equity"):
        fills[name] *= scale
    scaled = replace(some_run, equity=some_run.equity * scale, fills=fills)
    wanted = {name: _figure(name, some_run) for name in BAR_FIGURES}
    assert {name: _figure(name, scaled) for name in BAR_FIGURES} == pytest.approx(wanted, rel=1e-7)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_of_bars_matters_to_the_drawdown_alone(some_run, seed) -> None:
    bars = bars_of(some_run)
    mixed = np.random.default_rng(seed).permutation(bars.everything)
    for name, figure in BAR_FIGURES.items():
        if name != "max_drawdown_frac":
            assert figure(bars, mixed) == pytest.approx(figure(bars, bars.everything), rel=1e-9), name


@settings(max_examples=4, deadline=None)
@given(times=st.integers(2, 4))
def test_every_bar_drawn_equally_often_leaves_means_and_quantiles(some_run, times) -> None:
    bars = bars_of(some_run)
    again = np.tile(bars.everything, times)
    for name, figure in BAR_FIGURES.items():
        if name not in ("max_drawdown_frac", "net_return_frac", "net_sharpe"):
            assert figure(bars, again) == pytest.approx(figure(bars, bars.everything), rel=1e-9), name


def test_a_resample_counts_the_rows_of_each_bar_as_often_as_it_was_drawn(some_run) -> None:
    bars = bars_of(some_run)
    chosen = np.random.default_rng(2).integers(len(bars.rows), size=len(bars.rows))
    grid = some_run.time_ns // (300 * SECOND_NS)
    rows = np.concatenate([np.flatnonzero(grid == np.unique(grid)[bar]) for bar in chosen])
    times = np.round(some_run.open_s[rows]).astype(int)
    held = (some_run.leverage[rows] != 0) & np.isfinite(some_run.exit_cost_bps[rows])
    samples = np.repeat(some_run.exit_cost_bps[rows][held], np.repeat(times[:, None], 2, axis=1)[held])
    wanted = float(np.quantile(samples, 0.95, method="inverted_cdf"))
    assert bar_figures.exit_cost_p95_bps(bars, chosen) == wanted != bar_figures.exit_cost_p95_bps(bars, bars.everything)
    gross = np.average(np.abs(some_run.leverage[rows]).sum(axis=1), weights=some_run.open_s[rows])
    assert bar_figures.mean_leverage(bars, chosen) == pytest.approx(gross)


def test_the_order_of_symbols_changes_no_figure(some_run) -> None:
    fills = some_run.fills.copy()
    fills["symbol"] = 1 - fills["symbol"]
    columns = {
        name: getattr(some_run, name)[:, ::-1] for name in ("leverage", "crisis_level", "exit_cost_bps", "is_capped")
    }
    turned = replace(some_run, fills=fills, **columns)
    wanted = {name: _figure(name, some_run) for name in BAR_FIGURES}
    assert {name: _figure(name, turned) for name in BAR_FIGURES} == pytest.approx(wanted, rel=1e-9)


# -- edges


def test_a_flat_arm_without_fills_has_figures_where_there_is_one() -> None:
    summary = summary_of(run_of(np.full(700, 1000.0)), [Span(0, 1, "crisis")])
    assert summary.performance.net_return_frac == summary.performance.realised_volatility_frac == 0.0
    assert summary.performance.max_drawdown.from_ns is None
    assert summary.costs.turnover_per_day == summary.costs.shortfall_bps_per_day == 0.0
    unknown = (summary.costs.shortfall_bps, summary.performance.net_sharpe, summary.exposure.exit_cost_p99_bps)
    assert all(math.isnan(each) for each in unknown)
    assert summary.in_spans[0].windows == 0
    assert math.isnan(summary.exposure.exit_cost_known_frac)


def test_one_row_is_a_run() -> None:
    assert summary_of(run_of([1000.0])).performance.trading_days == pytest.approx(1 / 86_400)


def test_unknown_equity_is_bridged_and_all_of_it_unknown_is_unknown() -> None:
    run = run_of([np.nan, 100, np.nan, 121, np.nan])
    assert _figure("net_return_frac", run) == pytest.approx(0.21)
    assert summary_of(run).performance.max_drawdown.depth_frac == 0.0
    nothing = summary_of(run_of([np.nan, np.nan])).performance
    assert math.isnan(nothing.net_return_frac)
    assert math.isnan(nothing.max_drawdown.depth_frac)


def test_an_equity_that_is_gone_does_not_come_back() -> None:
    run = run_of([100, 50, -5, 80])
    assert _figure("net_return_frac", run, 1.0) == -1.0
    assert summary_of(run).performance.max_drawdown.depth_frac == 1.0


def test_a_fill_with_an_unknown_price_is_counted_and_nothing_more() -> None:
    fills = fills_of(fill(1, 10, 101, 100), fill(2, 10, np.nan, 100), fill(3, 1, 101, 100, equity=np.nan))
    costs = summary_of(run_of(np.full(10, 1000.0), fills=fills), trading_time=SHORT).costs
    assert (costs.fills, costs.unknown_fills) == (3, 1)
    assert costs.slippage_bps == pytest.approx(100)
    assert costs.slippage_bps_per_day == pytest.approx(1e4 * 10 / 1000)


def test_a_summary_is_json_with_null_for_what_is_unknown() -> None:
    found = json.loads(json.dumps(plain(summary_of(run_of(np.full(5, 1000.0)))), allow_nan=False))
    assert found["costs"]["shortfall_bps"] is None
    assert found["exposure"]["time_at_level_frac"] == [1.0, 0.0, 0.0, 0.0]
    assert plain({1: np.float64("inf"), "b": np.array([1, 2])}) == {"1": None, "b": [1, 2]}


def test_the_document_has_every_figure() -> None:
    root = Path(__file__).resolve().parents[3]
    text = (root / "docs" / "metrics.md").read_text(encoding="utf-8")
    named = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert {*BAR_FIGURES, *WINDOW_FIGURES} - named == set()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"equity": np.empty(0), "at_s": []}, "no rows"),
        ({"at_s": [0, 1, 1]}, "row 2 of its clock is not later"),
        ({"leverage": [[1, 1]] * 3}, r"crisis_level has shape \(3, 1\) instead of \(3, 2\)"),
        ({"fills": np.empty(1, [("time_ns", np.int64)])}, "lack symbol, units"),
        ({"fills": fills_of(fill(2, 1, 1, 1), fill(1, 1, 1, 1))}, "not in the order of time"),
        ({"base_leverage": 0.0}, "base leverage 0"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(changed, named) -> None:
    with pytest.raises(ValueError, match=named):
        run_of(**({"equity": [1000, 1000, 1000]} | changed))


def test_equity_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="equity has shape"):
        replace(run_of([1, 2, 3]), equity=np.ones(2))
