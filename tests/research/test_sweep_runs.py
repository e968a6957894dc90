"""What a worker of a sweep runs: days cut where the plan says, ranges that the config takes, and a dead worker."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from libraries import needs
from sweep_plan import plan, planted, scoring
from tick_days import FIRST_DAY, write_days

import bot.sweeps
from bot.cli.sweep_text import result
from bot.config import ConfigError
from bot.config.variants import Variants
from bot.research.backtest.record import FILL, Day, clock_dtype
from bot.research.backtest.result import Result
from bot.research.metrics.arm_run import TradingTime
from bot.research.metrics.bar_figures import BAR_FIGURES
from bot.research.metrics.bars import bars_of
from bot.research.sources import Source
from bot.research.sweep.ranges import Range
from bot.research.sweep.score import Pruned, Score, Scorer, direction_of
from bot.research.sweep.split import Stretch, split_days
from bot.research.sweep.study import SweepStudy
from bot.sim.listing import FX_WEEK, WHOLE_WEEK, default_symbols
from bot.sweeps import Job, plan_of, run_job, sweep
from bot.workforce import Cluster, Here, WorkerLost

needs("optuna")
CONFIG = (
    "symbols: {EURUSD: {}}\nstrategy: {base_leverage: 3}\n"
    "sizing: {warm_up_s: 20, persistence_s: 5}\nbacktest: {calibration_days: 1}\n"
)


def variants(folder: Path, text: str = CONFIG) -> Variants:
    (folder / "c.yaml").write_text(text)
    return Variants.load(folder / "c.yaml", {})


@pytest.mark.slow
def test_days_after_the_last_one_that_is_scored_change_nothing(tmp_path: Path) -> None:
    stretch = Stretch((FIRST_DAY,), (FIRST_DAY + 1,))
    scores = []
    for name, other_from in (("a", None), ("b", 2), ("c", 1)):
        data = write_days(tmp_path / name / "EURUSD", 3, other_from=other_from)
        job = Job(variants(tmp_path).text(), {"sizing.band": 0.1}, (str(data),), stretch, "net_sharpe", "maximize", 1,
                  with_interval=True)  # fmt: skip
        scores.append(run_job(job))
    assert scores[0].state == "complete" and len(scores[0].by_day) == 1
    assert scores[0].figure == scores[1].figure and scores[0].figures == scores[1].figures
    assert scores[0].figure != scores[2].figure, "the scored day has no part in the score"
    assert "fewer than 10" in scores[0].remark, "an interval of twenty minutes"


def test_a_variant_that_is_no_config_has_failed_for_a_reason(tmp_path: Path) -> None:
    job = plan().job({"sizing.band": 7.0}, plan().split.train_stretch, final=False)
    assert run_job(job) == Score(
        "failed", reason="test.yaml:1: sizing.band: is 7.0; should be auto, or a number from 0 to 1"
    )


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("ranges: {sizing.bandd: {low: 0, high: 1}}", "sizing.bandd: unknown key, did you mean 'band'"),
        ("ranges: {sizing.band: {low: 0, high: 3}}", "3.0 cannot be tried: .*should be auto, or a number from 0 to 1"),
        (
            "ranges: {sizing.band: {low: 1, high: 0}}",
            r"c.yaml:5: sweep.ranges.sizing.band: .*low 1 should be below high 0",
        ),
        ("ranges: {sizing.band: {low: 0, high: 1, log: true}}", "low 0 should be above 0 for `log`"),
        ("ranges: {sizing.band: {choices: [0.1]}}", "should be two values or more"),
        ("ranges: {sizing.band: {low: 0}}", "should hold `low` and `high`, or `choices`"),
        ("ranges: {sizing.band: {low: 0, hihg: 1}}", "hihg: unknown key, did you mean 'high'"),
        ("ranges: {risk.max_orders_per_minute: {low: 1, high: 9}}", "fractional part; `step: 1` makes whole numbers"),
        ("ranges: {strategy.parameters.alpah: {low: 0, high: 1}}", "has no parameter 'alpah'"),
        ("ranges: {backtest.balance: {low: 1, high: 2}}", "backtest.balance: is no key to try"),
        ("ranges: {symbols.USDJPY.weight: {low: 1, high: 2}}", "trades no 'USDJPY'; it trades EURUSD"),
        ("{metric: sharp, ranges: {sizing.band: {low: 0, high: 1}}}", "there is no figure 'sharp'"),
        (
            "{metric: mean_leverage, ranges: {sizing.band: {low: 0, high: 1}}}",
            "say `direction: maximize` or `minimize`",
        ),
        ("{}", "sweep.ranges: is empty"),
    ],
)
def test_a_range_that_cannot_be_is_refused_in_a_line(tmp_path: Path, section: str, said: str) -> None:
    text = f"{CONFIG}sweep: {section if section[0] == '{' else '{' + section + '}'}\n"

    def planned() -> None:
        found = variants(tmp_path, text)
        plan_of(found, found.sweep(None, {}), ["nowhere.parquet"], None, 1)

    with pytest.raises(ValueError, match=said) as caught:
        planned()
    assert "\n" not in str(caught.value)


def test_ranges_come_from_a_file_with_its_own_lines(tmp_path: Path) -> None:
    path = tmp_path / "ranges.yaml"
    path.write_text("metric: net_return_frac\nranges:\n  sizing.band: {low: 0, high: 1, step: x}\n")
    with pytest.raises(ConfigError, match=r"ranges.yaml:3: sweep.ranges.sizing.band.step"):
        variants(tmp_path).sweep(path, {})
    path.write_text("sweep: {metric: net_return_frac}\n")
    assert variants(tmp_path).sweep(path, {}).metric == "net_return_frac"


def test_too_few_days_are_refused_before_the_first_trial(tmp_path: Path) -> None:
    data = write_days(tmp_path / "EURUSD", 3)
    found = variants(tmp_path, f"{CONFIG}sweep: {{ranges: {{sizing.band: {{low: 0, high: 1}}}}}}\n")
    with pytest.raises(ValueError, match=r"have 3 UTC day\(s\); this sweep needs 5"):
        plan_of(found, found.sweep(None, {}), [str(data)], None, 1)


def test_secrets_do_not_leave_the_machine(tmp_path: Path) -> None:
    secret = "credentials: {client_id: abc-id, client_secret: abc-secret}\naccount: {id: 5, label: x}\n"
    assert "abc-" not in variants(tmp_path, CONFIG + secret).text()


@pytest.mark.parametrize(
    ("given", "value", "beside"),
    [
        (Range(0.0, 1.0), 0.5, (0.35, 0.45, 0.55, 0.65)),
        (Range(0.0, 1.0), 0.0, (0.05, 0.15)),
        (Range(1, 9, 1), 5, (3, 4, 6, 7)),
        (Range(1, 9, 4), 9, (1, 5)),
        (Range(1.0, 10.0, is_log=True), 10.0, (10**0.85, 10**0.95)),
        (Range(choices=("a", "b", None)), "b", ("a", None)),
    ],
)
def test_neighbours_lie_inside_the_range_on_both_sides(given: Range, value: object, beside: tuple[object, ...]) -> None:
    found = given.neighbours(value)  # type: ignore[arg-type]
    assert found == (pytest.approx(beside) if isinstance(beside[0], float) else beside)


def test_a_scorer_keeps_the_scored_days_and_ends_a_hopeless_run() -> None:
    def day(number: int) -> Day:
        clocks = np.zeros(10, clock_dtype(1))
        clocks["time_ns"] = (number * 86_400 + np.arange(10) * 600) * 10**9
        clocks["equity"] = 100 + np.arange(10)
        return Day(clocks, np.empty(0, FILL))

    scorer = Scorer("net_return_frac", Stretch((1,), (2, 3, 4)), {"X": 1.0}, 1.0, lambda by_day: len(by_day) == 2)
    scorer(day(1))
    assert scorer.by_day == []
    scorer(day(2))
    assert scorer.by_day == [pytest.approx(0.09)]
    with pytest.raises(Pruned):
        scorer(day(3))
    assert scorer.pruned().state == "pruned" and len(scorer.pruned().by_day) == 2
    whole = Scorer("net_return_frac", Stretch((), (2,)), {"X": 1.0}, 1.0, lambda by_day: True)
    whole(day(2))
    score = whole.score(with_interval=False)
    assert score.figure == pytest.approx(0.09) and Score.of_plain(score.plain()).figure == score.figure
    assert Scorer("slippage_bps", Stretch((), (2,)), {"X": 1.0}, 1.0).score(with_interval=False).state == "failed"


def test_a_scorer_knows_what_was_held_when_scoring_began_and_the_weights() -> None:
    day_ns, fills = 86_400 * 10**9, np.zeros(4, FILL)
    clocks = np.zeros(40, clock_dtype(1))
    clocks["time_ns"] = day_ns + np.arange(40) * day_ns // 20  # two days
    clocks["equity"] = 10_000.0
    fills["time_ns"] = [day_ns + 1, 2 * day_ns, 2 * day_ns + 2, 2 * day_ns + 3]
    fills["units"] = [10_000, -5_000, 5_000, -5_000]
    fills["price"] = fills["mid_at_fill"] = 1.1 + np.sign(fills["units"]) * 1e-4
    fills["mid_at_decision"], fills["notional"], fills["equity"] = 1.1, 5_500.0, 10_000.0
    whole = Result("trial", ("X",), {}, (), 1.0, clocks, fills)
    scorer = Scorer("resize_cost_bps_per_day", Stretch((1,), (2,)), {"X": 0.5}, 1.0)
    scorer(Day(clocks[:20], fills[:2]))  # a fill of the scored day's first moment is told with the day before
    scorer(Day(clocks[20:], fills[2:]))
    bars = bars_of(whole.arm_run(2 * day_ns, (0.5,)))
    expected = BAR_FIGURES["resize_cost_bps_per_day"](bars, bars.everything)
    assert expected > 0
    assert scorer.score(with_interval=False).figure == scorer.by_day[0] == expected


@pytest.mark.parametrize(("schedule", "days"), [(FX_WEEK.schedule, 252.0), (WHOLE_WEEK, 365.25)])
def test_a_sweep_annualises_by_when_its_symbols_trade(
    schedule: tuple[tuple[int, int], ...], days: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(next(each for each in default_symbols() if each.name == "BTCUSD"), schedule=schedule)
    clocks = np.zeros(40, clock_dtype(1))
    clocks["time_ns"] = FIRST_DAY * 86_400 * 10**9 + np.arange(40) * 300 * 10**9
    clocks["equity"] = 10_000 + np.arange(40) % 3
    monkeypatch.setattr(bot.sweeps, "open_trial_sources", lambda *_: [Source("made up", spec, "", (0, 1), iter)])
    monkeypatch.setattr(bot.sweeps, "run_trial", lambda trial, on_day: on_day(Day(clocks, np.empty(0, FILL))))
    text = variants(tmp_path, CONFIG.replace("EURUSD", "BTCUSD")).text()
    found = run_job(Job(text, {}, ("none",), Stretch((), (FIRST_DAY,)), "net_sharpe", "maximize", 1, False))
    bars = bars_of(Result("", ("X",), {}, (), 1.0, clocks, np.empty(0, FILL)).arm_run(), TradingTime(86_400.0, days))
    assert found.figure == BAR_FIGURES["net_sharpe"](bars, bars.everything) != 0.0


def test_more_return_and_less_cost_are_better_and_what_nobody_knows_has_to_be_said() -> None:
    assert direction_of("net_sharpe", None) == "maximize" and direction_of("slippage_bps", None) == "minimize"
    assert direction_of("mean_leverage", "minimize") == "minimize"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_workers_score_the_same_choices_as_one_does(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    data = write_days(tmp_path / "EURUSD", 4)
    text = CONFIG.replace("calibration_days: 1", "calibration_days: 1, clock_s: 5")
    ranges = "{sizing.band: {choices: [0.02, 0.1, 0.3]}}"
    given = variants(tmp_path, f"{text}sweep: {{embargo_days: 0, ranges: {ranges}}}\n")
    what = plan_of(given, given.sweep(None, {}), [str(data)], "net_return_frac", 1)
    days = tuple(range(FIRST_DAY, FIRST_DAY + 3))
    what = replace(what, split=split_days(days, 0, 0.7, 0))  # two days about a midnight, and one: no silence between
    found = []
    for jobs in (1, 2):
        workforce = Here(run_job) if jobs == 1 else Cluster(run_job, jobs)
        study = SweepStudy(tmp_path / str(jobs), what.ranges, what.direction, what.settled(), force=False)
        try:
            found.append(sweep(what, study, 4, workforce))  # below ten trials choices are drawn, whatever is known
        finally:
            workforce.close()
            study.close()
    assert {state for _, state, _ in found[0].tried} == {"complete"}
    assert len({figure for _, _, figure in found[0].tried}) > 1
    assert result(found[0]) == result(found[1])


def dying(job: Job) -> Score:
    if job.seed == 2:
        os._exit(9)
    return scoring(planted)(job)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_dies_costs_the_job_it_had() -> None:
    pytest.importorskip("distributed")
    job = plan().job({}, plan().split.train_stretch, final=False)
    workforce = Cluster(dying, 1)
    try:
        workforce.start("dead", replace(job, seed=2))
        key, outcome = workforce.take()
        assert key == "dead" and isinstance(outcome, WorkerLost)
        workforce.start("alive", job)
        key, outcome = workforce.take()
        assert key == "alive" and isinstance(outcome, Score) and outcome.figure == scoring(planted)(job).figure
    finally:
        workforce.close()
