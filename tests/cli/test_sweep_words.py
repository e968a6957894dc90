"""What a sweep says, of made-up findings: no training score without its test score, and unknown is called unknown."""

import json
import math
from dataclasses import replace

import pytest

from bot.cli.sweep_screen import SweepScreen
from bot.cli.sweep_text import reasons, result, text, trial_line
from bot.research.metrics.deflated_sharpe import DeflatedSharpe
from bot.research.sweep.found import Beside, Scored, Steadiness, SweepFound
from bot.research.sweep.score import Score
from bot.research.sweep.split import Split
from bot.research.sweep.study import Tried

CHOSEN = Scored(
    {"sizing.band": 0.25, "sizing.calendar": True}, Score("complete", 3.0, low=1.0, high=5.0), Score("complete", 0.5)
)
DEFAULT = Scored({}, Score("complete", 1.0), Score("failed", reason="the market is closed"))
FOUND = SweepFound(
    study="sweep-1", settled={}, metric="net_sharpe", direction="maximize",
    split=Split((16_191,), (16_192, 16_193), (16_194,), (16_195,)),
    counts={"complete": 3, "pruned": 2, "failed": 1}, chosen=CHOSEN, default=DEFAULT, gap=2.5, tries=6,
    deflated=DeflatedSharpe(0.1, 0.05, 0.75, 6, 100, 0.0, 3.0), importance={"sizing.band": 0.8},
    steadiness=(
        Steadiness("sizing.band", (Beside(0.2, 2.9, 0.4),), 0.1, 0.1, 0.05, "plateau"),
        Steadiness("sizing.calendar", (), math.nan, math.nan, math.nan, "unknown"),
    ),
    test_looks=2, labels={"EURUSD": "recorded quotes, semi-synthetic depth"},
    default_changes={"sizing.band": None, "sizing.calendar": False},
)  # fmt: skip
TRIED = Tried(4, {"sizing.band": 0.5}, Score("complete", 1.25))


def test_both_scores_stand_in_one_line_and_so_does_what_luck_explains() -> None:
    told = text(FOUND)
    (chosen,) = [line for line in told.splitlines() if line.startswith("chosen ")]
    assert chosen.split() == ["chosen", "3", "[1,", "5]", "0.5", "[unknown]"]
    (default,) = [line for line in told.splitlines() if line.startswith("default   ") and "unknown" in line]
    assert default.split()[-1] == "unknown"  # the test of the config as it is came to nothing
    assert "after 6 tries: 75%" in told
    assert "semi-synthetic" in told
    assert "2 day(s), 2014-05-02 to 2014-05-03" in told
    assert "1 day, 2014-05-05" in told
    assert "2 choices have been scored on them by now" in told
    assert reasons(FOUND) == ["default, test: the market is closed"]


def test_a_parameter_says_what_it_was_what_it_became_and_whether_that_is_a_needle() -> None:
    band, calendar = [line for line in text(FOUND).splitlines() if line.startswith("sizing.")]
    assert band.split()[:5] == ["sizing.band", "not", "given", "0.25", "80%"]
    assert band.endswith("plateau: beside it 0.1 worse on train, 0.1 on test")
    assert calendar.split() == ["sizing.calendar", "false", "true", "unknown", "unknown"]


def test_without_a_sharpe_ratio_nothing_is_deflated_and_a_better_default_is_told() -> None:
    worse = replace(FOUND, deflated=None, chosen=replace(CHOSEN, train=Score("complete", 0.5)))
    assert "deflated   unknown" in text(worse)
    assert worse.default_is_better
    assert "keep it" in text(worse)
    assert result(worse)["default_is_better"] is True


def test_what_machines_read_is_json_without_nan() -> None:
    line = json.loads(json.dumps(result(FOUND), allow_nan=False))
    assert (line["type"], line["chosen"]["test"]["figure"]) == ("sweep", 0.5)
    assert trial_line(TRIED)["remark"] == "test at the end"
    assert trial_line(replace(TRIED, score=Score("failed", reason="no")))["remark"] == "no"


def test_away_from_a_terminal_a_trial_is_a_line_that_says_that_the_test_comes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with SweepScreen(8, 2, "net_sharpe", json=False) as screen:
        screen.tried(TRIED, TRIED)
        screen.tried(replace(TRIED, score=Score("failed", reason="margin")), None)
        screen.final(3, 3)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "goes on after 2 trial(s) of an earlier start",
        "3/8 complete: train 1.25, test at the end; best net_sharpe: train 1.25, test at the end",
        "4/8 failed: margin; none has a score yet",
        "scored the choice, the default and its neighbours: 3 runs",
    ]
    with SweepScreen(8, 0, "net_sharpe", json=True) as screen:
        screen.tried(TRIED, TRIED)
    assert json.loads(capsys.readouterr().out)["number"] == 4
