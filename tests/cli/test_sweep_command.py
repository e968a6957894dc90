"""`microlev sweep`: what it prints and writes, with an objective that is a formula in the place of the engine."""

import json
from pathlib import Path
from typing import Any

import pytest
from libraries import needs
from sweep_plan import planted, scoring
from tick_days import write_days

import bot.sweeps
from bot.cli.main import main

needs("optuna", "distributed", "plotly", "matplotlib", "arch")
CONFIG = """symbols: {EURUSD: {}}
backtest: {calibration_days: 1}
sweep: {ranges: {sizing.band: {low: 0, high: 1}, strategy.base_leverage: {low: 1, high: 9}}}
"""


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(bot.sweeps, "run_job", scoring(planted))
    (tmp_path / "c.yaml").write_text(CONFIG)
    data = write_days(tmp_path / "EURUSD", 5)
    out = str(tmp_path / "out")
    return ["sweep", str(tmp_path / "c.yaml"), "--data", str(data), "--out", out, "--jobs", "1"]


@pytest.mark.slow
def test_every_train_score_that_is_shown_has_its_test_score_beside_it(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--trials", "6", "--json"]) == 0
    lines: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == ["trial"] * 6 + ["sweep"]
    assert all(line["test"] is None and line["remark"] == "test at the end" for line in lines[:6])
    kept = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert kept == lines[-1]
    for each in ("chosen", "default"):
        assert {"train", "test"} <= set(kept[each]) and kept[each]["test"]["figure"] is not None
    for name in ("importance.png", "stability.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "out" / "sweep.html").read_text()
    assert "neighbours, test" in page and "overfit" in page

    assert main([*words, "--trials", "7"]) == 0  # goes on
    shown = capsys.readouterr()
    assert "goes on after 6 trial(s)" in shown.err and "7/7 complete" in shown.err
    assert all("test at the end" in line for line in shown.err.splitlines() if "train" in line)
    scores = [line for line in shown.out.splitlines() if line.startswith(("chosen ", "default "))]
    assert len(scores) >= 2 and "score" in shown.out and "deflated" in shown.out
    assert not list((tmp_path / "out").glob(".part-*"))


@pytest.mark.slow
def test_another_metric_than_was_settled_is_refused_without_force(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--trials", "1"]) == 0
    assert main([*words, "--trials", "1", "--metric", "max_drawdown_frac"]) == 2
    assert 'its metric was "net_sharpe", not "max_drawdown_frac"' in capsys.readouterr().err
    assert main([*words, "--trials", "1", "--metric", "max_drawdown_frac", "--force"]) == 0


def test_results_without_their_study_are_not_written_over(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sweep.json").write_text("{}")
    assert main([*words, "--trials", "1"]) == 2
    assert "is there, but no study" in capsys.readouterr().err


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--trials", "1", "--scheduler", "127.0.0.1:1"]) == 4
    said = capsys.readouterr().err
    assert "no Dask scheduler can be reached at 127.0.0.1:1" in said and said.count("\n") == 1
