"""A backtest that was killed goes on from its last checkpoint, and ends as if nothing had happened."""

import gc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_market import SECOND, START, books, config, source

from bot.engine.decision import Decision
from bot.research.backtest.checkpoint import load_checkpoint, save_checkpoint
from bot.research.backtest.result import Result
from bot.research.shocks.shock import Shock
from bot.trial_assumptions import conditions_of
from bot.trial_variants import with_shocks
from bot.trials import Trial, run_trial

HOUR = 3_600
BEFORE_MIDNIGHT = 23 * HOUR + 3_000


class Killed(Exception):
    """In place of a kill: nothing that comes after it is done."""


def _trial() -> Trial:
    """Twenty minutes over midnight, a quote every two seconds, and a bot that resizes now and then."""
    chance = np.random.default_rng(11)
    quotes, mid = [], 110_000
    for i in range(600):
        mid += int(chance.integers(-8, 9))
        spread = int(chance.integers(1, 4))
        bids, asks = [(mid - spread, 90_000), (mid - 9, 900_000)], [(mid + spread, 80_000), (mid + 9, 900_000)]
        quotes.append((BEFORE_MIDNIGHT + 2 * i, bids, asks))
    given = config(
        strategy={"name": "volatility-adaptive", "base_leverage": 3, "parameters": {"volatility_sample_s": 2}},
        sizing={"warm_up_s": 5, "persistence_s": 0, "band": 0.0, "max_increase_frac_per_min": 1, "time_of_day": False},
        backtest={"latency": "50ms:250ms"},
    )
    return Trial("kept", given, [source(books(quotes), piece=50)], conditions_of(given))


def _same(one: Result, other: Result) -> bool:
    return (one.clocks.tobytes(), one.fills.tobytes(), one.figures) == (
        other.clocks.tobytes(),
        other.fills.tobytes(),
        other.figures,
    )


def _shocked() -> Trial:
    """The same with shocks before and behind midnight: at each edge of one there may be nothing to tell."""
    at_ns = [START + (BEFORE_MIDNIGHT + after_s) * SECOND for after_s in (100, 300, 400, 900)]
    shocks = [
        Shock("spread", "EURUSD", at_ns[0], 60, 10, move_bps=20, reverts=True),
        Shock("gap", "EURUSD", at_ns[1], 60, move_bps=-50),
        Shock("stale", "EURUSD", at_ns[2], 30),
        Shock("stale", "EURUSD", at_ns[3], 30),
    ]
    return with_shocks(_trial(), shocks)


@pytest.mark.parametrize(("trial", "killed_after_s"), [(_trial, 700), (_trial, 1_000), (_shocked, 1_000)])
def test_a_killed_run_goes_on_from_its_checkpoint_and_ends_the_same(
    trial: Callable[[], Trial], killed_after_s: int, tmp_path: Path
) -> None:
    whole = run_trial(trial())
    assert len(whole.fills) > 10
    path = tmp_path / "run.checkpoint"
    dies_ns = START + (BEFORE_MIDNIGHT + killed_after_s) * SECOND

    def watch(_: object, decision: Decision) -> None:
        if decision.now_ns >= dies_ns:
            raise Killed

    with pytest.raises(Killed):
        run_trial(trial(), watch=watch, checkpoint=path, key="inputs")
    assert path.exists()
    gc.collect()
    seen: list[int] = []
    again = run_trial(trial(), watch=lambda _, d: seen.append(d.now_ns), checkpoint=path, key="inputs")
    assert _same(again, whole)
    assert seen[0] > START + BEFORE_MIDNIGHT * SECOND + 500 * SECOND  # it did not begin anew
    assert not path.exists()


def test_a_checkpoint_of_other_inputs_or_a_damaged_one_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    save_checkpoint(path, "these", {"state": np.arange(3)})
    assert load_checkpoint(path, "those") is None
    assert (load_checkpoint(path, "these")["state"] == np.arange(3)).all()  # type: ignore[index]
    path.write_bytes(path.read_bytes()[:-5])
    assert load_checkpoint(path, "these") is None
    assert load_checkpoint(tmp_path / "none", "these") is None


def test_views_are_views_again(tmp_path: Path) -> None:
    table = np.zeros(3, np.dtype([("a", np.float64), ("b", np.int64)]))
    column, part = table["b"], table[1:]
    part.flags.writeable = False
    save_checkpoint(tmp_path / "x", "", (table, column, part))
    table, column, part = load_checkpoint(tmp_path / "x", "")  # type: ignore[misc]
    table["b"][1] = 7
    assert column.tolist() == [0, 7, 0]
    assert part["b"].tolist() == [7, 0]
    assert not part.flags.writeable
