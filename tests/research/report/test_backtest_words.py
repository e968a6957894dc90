"""What `microlev backtest` says of a run and of a comparison, in words and as JSON lines, and on the way there."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_findings import LABEL, SYMBOL, comparison, result, unknown

from bot.cli.backtest_lines import BacktestLines
from bot.cli.backtest_text import comparison_text, run_text
from bot.research.metrics.summary import summary_of
from bot.trial_pool import Progressed, Task

FIGURES = {
    "rows": 12, "decisions": 40, "orders": {"sent": 2, "filled": 3}, "refused": {}, "rejected": {"NO_QUOTES": 1},
    "engine_equity": 99_961.0, "venue_equity": 99_961.0,
}  # fmt: skip
RUN = result(figures=FIGURES)
DATA = ({"symbol": SYMBOL, "source": "ticks", "label": LABEL},)
FOUND = comparison(data=DATA)


def test_a_run_is_a_table_that_says_what_the_data_are_and_that_both_sides_agree() -> None:
    told = run_text(RUN, summary_of(RUN.arm_run(), ()), 250_000.0)
    assert LABEL in told
    assert "orders         3 filled, 2 sent" in told
    assert "refusals       none" in told
    assert "rows           12; 250,000 a second" in told
    assert "99,961.00 by the venue: engine and venue agree to the cent" in told
    # Bought twice at 1.1001, decided at 1.1: 0.9 bps each, half a basis point was predicted.
    assert "slippage       0.91 bps of notional, predicted 0.50" in told
    summary = summary_of(RUN.arm_run(), ())
    shut = replace(summary, exposure=replace(summary.exposure, exit_cost_p99_bps=math.inf, no_exit_frac=0.0213))
    assert "exit cost p99  infinite bps of notional; no exit for 2.1 % of held time" in run_text(RUN, shut, None)
    assert "no exit" not in told
    apart = replace(RUN, figures=FIGURES | {"venue_equity": 99_960.0})
    assert "engine and venue DIFFER by 1.00" in run_text(apart, summary_of(apart.arm_run(), ()), None)
    yen = replace(RUN, figures=FIGURES | {"venue_equity": 99_960.6, "money_digits": 0})
    assert "engine and venue agree to one unit of money" in run_text(yen, summary_of(yen.arm_run(), ()), None)


def test_a_comparison_is_a_table_an_arm_a_line_with_its_verdict() -> None:
    judged = FOUND.judged[0]
    other = replace(judged, matching="mean leverage")
    told = comparison_text(replace(FOUND, remarks=("an arm was halted",), judged=(judged, other)))
    assert "24 variants tried" in told
    assert "note: an arm was halted" in told
    assert "spans: 1 crisis" in told
    rows = [line.split()[0] for line in told.splitlines() if line.startswith("  co") and "less" not in line]
    assert rows == ["composite", "constant"]
    assert "composite less constant: net_sharpe +0.25 (-1.00 to +1.50)" in told
    assert judged.verdict.sentence in told
    # Of all tables together, and so told once.
    of_all = "superior ability against constant, over 8 arms of all 2 tables together: p 0.31, best composite (trend,"
    assert told.count("superior ability") == told.count(of_all) == 1
    assert sum(part.sentence in told for part in judged.verdict.parts) == len(judged.verdict.parts)


def test_an_interval_that_nobody_knows_is_called_unknown() -> None:
    arms = tuple(replace(arm, intervals={"net_sharpe": unknown()}) for arm in FOUND.arms)
    (row,) = [
        line for line in comparison_text(replace(FOUND, arms=arms)).splitlines() if line.startswith("  constant ")
    ]
    assert "unknown" in row


def _task(tmp_path: Path, name: str = "run") -> Task:
    return Task(name, tmp_path / f"{name}.npz", "digest", 0, 1_000)


def test_the_lines_of_a_run_say_where_it_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = BacktestLines(json=False)
    lines.begun(1, 1_000)
    lines.progressed(Progressed(_task(tmp_path), 12, 500))
    lines.ran(RUN, summary_of(RUN.arm_run(), ()), tmp_path)
    lines.written(tmp_path / "x.html")
    told = capsys.readouterr()
    assert told.err == ""  # of one run only the bar of a terminal tells how far it is
    assert told.out.splitlines()[-2:] == [f"kept in {tmp_path}", f"report: {tmp_path / 'x.html'}"]


def test_the_runs_of_a_comparison_are_a_line_each_and_those_that_were_there_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = BacktestLines(json=False)
    lines.begun(2, 1_000)
    lines.found(_task(tmp_path, "first"), 500)
    lines.progressed(Progressed(_task(tmp_path, "second"), 12, 1_000, is_done=True))
    lines.note("mind the gap")
    lines.compared(FOUND, tmp_path)
    told = capsys.readouterr()
    first, second, third = told.err.splitlines()
    assert first == "first: is there already"
    assert second.startswith("second: done, 2 of 2, ")
    assert third == "mind the gap"
    assert told.out.splitlines()[-1] == f"kept in {tmp_path}"


def test_as_json_everything_is_a_line_and_nothing_is_said_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = BacktestLines(json=True)
    lines.begun(2, 1_000)
    lines.note("not for machines")
    lines.ran(RUN, summary_of(RUN.arm_run(), ()), tmp_path)
    lines.compared(FOUND, tmp_path)
    lines.written(tmp_path / "x.html")
    told = capsys.readouterr()
    kinds = [json.loads(line)["type"] for line in told.out.splitlines()]
    assert kinds == ["backtest", "comparison", "arm", "arm", *["difference"] * 3, *["in_span"] * 3, "judged", "report"]
    assert told.err == ""
