"""A comparison fits a terminal, and becomes JSON without a word that JSON has not."""

import json
from dataclasses import replace
from pathlib import Path

import made_up_findings as made_up
import numpy as np
import pytest

from bot.research.compare.comparison import BY_VOLATILITY
from bot.research.metrics.arm_run import TradingTime
from bot.research.metrics.bar_figures import exit_cost_p99_bps, shortfall_bps_per_day
from bot.research.metrics.bars import bars_of
from bot.research.metrics.summary import summary_of
from bot.research.metrics.trading_year import trading_time_of
from bot.research.report import sections, table, tables
from bot.research.report.arm_drawn import arm_drawn
from bot.research.report.run_figures import figures_of_runs
from bot.research.report.span_table import inside_table
from bot.research.report.words import Words, number, words_of
from bot.research.sources import Source
from bot.sim.listing import default_symbols


def test_the_text_fits_a_terminal_and_says_what_was_found() -> None:
    found = made_up.comparison()
    long = replace(found.differences[1], arm="composite-without-liquidity-and-then-some-more-words-than-fit")
    text = table.text(replace(found, differences=(*found.differences, long), remarks=("odd",)))
    lines = text.splitlines()
    assert max(map(len, lines)) <= table.WIDTH
    assert "primary figure, named beforehand: net Sharpe ratio; 24 variants tried, all told" in lines
    assert any(line.startswith("SEMI-SYNTHETIC depth: EUR<script>$USD$") for line in lines)
    assert "note: odd" in lines
    assert any(line.startswith("FAILED: signal trend") for line in lines)
    (row,) = [line for line in lines if line.startswith("  composite - constant") and "●" in line]
    assert row.split() == ["composite", "-", "constant", "+33", "●", "+10", "to", "+50"]
    assert "and 1 others, none of them told from chance" in lines
    assert "in crisis (12) against constant: drawdown, mean of each: reduction +50 (+20 to +70) %" in lines
    assert "in calm time and events: 1 other differences are not told from chance, 1 are unknown" in lines


def test_the_table_of_spans_has_a_row_a_rival_and_kind_and_says_what_each_arm_was() -> None:
    found = made_up.comparison()
    shown = inside_table(found, ("trend", BY_VOLATILITY))
    assert shown is not None
    assert [(row[0].text, row[1].text) for row in shown.rows] == [
        ("crisis (12)", "constant"), ("payrolls (1)", "constant"),
    ]  # fmt: skip
    titles = [title for title, _ in shown.columns]
    drawdown = shown.rows[0][titles.index("drawdown, mean of each: reduction")]
    assert (drawdown.text, drawdown.detail) == ("+50 ●", "+20 to +70; 0.100 against 0.200")
    loss = shown.rows[1][titles.index("loss, mean of each")]
    assert (loss.text, loss.detail) == ("−0.1000", "interval unknown; 0.100 against 0.200")
    assert shown.rows[1][titles.index("net return")].text == ""
    assert inside_table(replace(found, in_spans=()), ("trend", BY_VOLATILITY)) is None


def test_json_has_null_for_what_is_unknown_and_text_for_a_path() -> None:
    found = made_up.comparison()
    arm = replace(found.arms[0], result=Path("runs") / "composite.npz")
    read = json.loads(table.json_text(replace(found, arms=(arm,))))
    assert read["arms"][0]["result"] == "composite.npz"
    assert read["differences"][2]["interval"]["low"] is None
    assert read["software"].startswith("microlev ")


@pytest.mark.parametrize(
    ("figure", "written"),
    [
        (0.12345, "0.12"),
        (-0.001, "0.00"),
        (-3.0, "−3.00"),
        (1171.44, "1,171"),
        (float("nan"), "unknown"),
        (float("inf"), "infinite"),
    ],
)
def test_numbers_are_written_as_long_as_they_tell(figure: float, written: str) -> None:
    assert number(figure) == written


def test_a_figure_that_nobody_has_named_has_words_all_the_same() -> None:
    assert words_of("some_new_delay_bps") == Words("some new delay", "bps")
    assert words_of("resize_cost_bps_per_day:EURUSD").name == "cost of resizing at base 1, EURUSD"
    assert words_of("odd<name>").name == "odd<name>"


def test_figures_and_tables_say_the_same_of_costs() -> None:
    run = made_up.result(count=400)
    bars, drawn = bars_of(run.arm_run()), arm_drawn(run)
    assert sum(drawn.costs.values()) == pytest.approx(shortfall_bps_per_day(bars, bars.everything))
    assert drawn.exit_cost_p99_bps == pytest.approx(exit_cost_p99_bps(bars, bars.everything))
    assert drawn.costs["own impact"] > 0
    assert drawn.slippage_error_bps == pytest.approx(1e4 * 0.0001 / 1.1 - 0.5)
    assert drawn.deepest_percent == pytest.approx(0.399)


def test_time_without_an_exit_is_told_and_not_drawn() -> None:
    run = made_up.result(count=400)
    run.clocks["exit_cost_bps"][100:110] = np.inf
    drawn = arm_drawn(run)
    assert drawn.exit_cost_p99_bps == np.inf
    assert np.isfinite(drawn.exit_cost[0]).all() and drawn.no_exit_percent == pytest.approx(2.5)
    (figure,) = [each for each in figures_of_runs([run], []) if each.name == "exit-costs"]
    assert "The 99th percentile is infinite with composite." in figure.sentence
    assert "nothing to close against for 2.5 % of held time with composite" in figure.sentence


def test_what_all_tables_together_say_is_one_row_a_benchmark() -> None:
    found = made_up.comparison()
    both = (found.judged[0], replace(found.judged[0], matching="mean leverage"))
    tested = tables.tests_table(replace(found, judged=both))
    assert tested is not None
    (row,) = tested.rows
    assert (row[0].text, row[0].detail) == ("any arm above constant", "over 8 arms of all 2 tables together")
    assert [cell.text for cell in row[2:]] == ["0.310", "best: composite (trend, realised volatility)"]


def test_counts_are_of_whole_runs_and_say_so_but_stop_outs_are_of_the_test() -> None:
    figures = {"rows": 12, "stop_outs_ns": [made_up.MONDAY_NS + 1, made_up.MONDAY_NS + 9]}
    runs = [made_up.result(figures=figures)]
    alone, compared = tables.counted_table(runs), tables.counted_table(runs, made_up.MONDAY_NS + 5)
    assert alone is not None and compared is not None
    assert alone.caption == "What was counted"
    assert compared.caption == "What was counted in whole runs, the days that only taught included"
    place = [title for title, _ in compared.columns].index("stop-outs")
    assert compared.columns[place][1] == "of the test days"
    assert [each.rows[0][place].text for each in (alone, compared)] == ["2", "1"]


def test_a_year_of_a_market_that_is_open_at_weekends_has_every_day_in_every_table() -> None:
    (bitcoin,) = [spec for spec in default_symbols() if spec.name == "BTCUSD"]
    euro = replace(bitcoin, name="EURUSD", schedule=((21 * 3_600, 5 * 86_400 + 21 * 3_600),))
    always, week = (Source("made", spec, "made", (0, 1), lambda place, from_ns: iter(())) for spec in (bitcoin, euro))
    assert trading_time_of([always.spec]) == TradingTime(days_per_year=365.25)
    assert trading_time_of([always.spec, week.spec]) == trading_time_of([week.spec]) == TradingTime()
    run = made_up.result(count=60)
    run.clocks["equity"] = 1000 + np.random.default_rng(1).normal(0, 1, 60)
    usual, daily = (str(sections.all_tables(None, [run], trading_time_of([each.spec]))) for each in (week, always))
    told = summary_of(run.arm_run()).performance.realised_volatility_frac
    assert f"{100 * told:,.1f}" in usual
    assert f"{100 * told * (365.25 / 252) ** 0.5:,.1f}" in daily
