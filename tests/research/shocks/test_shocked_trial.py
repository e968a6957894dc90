"""Shocks in a backtest: what the bot makes of them, and connections that are lost on purpose."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tick_trials import BEGIN_NS, S, tick_source, tick_trial

from bot.assembly import Run
from bot.engine.decision import Decision
from bot.research.backtest.drop import Drop
from bot.research.backtest.result import Result
from bot.research.shocks.response import responses
from bot.research.shocks.shock import Shock
from bot.trial_variants import with_shocks
from bot.trials import run_trial

AT_NS = BEGIN_NS + 400 * S + S // 2


def shocked(shock: Shock, **sections: Any) -> tuple[Result, np.ndarray, np.ndarray]:
    """Return the run, its rows before the shock, and those from it on until the minute after."""
    result = run_trial(with_shocks(tick_trial([tick_source(ticks=500)], **sections), [shock]))
    times = result.clocks["time_ns"]
    inside = (times >= shock.at_ns) & (times < shock.end_ns + 60 * S)
    return result, result.clocks[times < shock.at_ns], result.clocks[inside]


@pytest.mark.slow
def test_a_spread_of_ten_times_and_a_move_raise_the_level_and_take_the_leverage_down() -> None:
    _, before, inside = shocked(Shock("spread", "EURUSD", AT_NS, 40.0, 10.0, None, -30.0))
    assert before["crisis_level"].max() == 0
    assert before["leverage"][-1, 0] > 0.3
    assert inside["crisis_level"].max() == 3
    assert inside["leverage"][-1, 0] == 0.0
    spread = inside["spread_bps"][:38, 0]
    assert spread[spread > 0].min() > 4 * np.nanmedian(before["spread_bps"])


@pytest.mark.slow
def test_a_connection_that_is_lost_comes_back_at_its_time_with_the_book_as_it_is() -> None:
    shock = Shock("reconnect", "EURUSD", AT_NS, 5.0, None, None, 50.0)
    ready: list[tuple[int, bool]] = []
    mids: dict[int, float] = {}

    def watch(run: Run, decision: Decision) -> None:
        ready.append((decision.now_ns, run.session.ready))
        if run.session.ready and run.engine.features is not None:
            mids[decision.now_ns] = float(run.engine.features.mid[0])

    result = run_trial(with_shocks(tick_trial([tick_source(ticks=500)]), [shock]), watch=watch)
    assert result.figures["connections"] == 2
    lost = [now_ns for now_ns, is_ready in ready if not is_ready and now_ns > BEGIN_NS + S]
    assert lost
    # Whatever comes at the time of the drop does not reach the engine any more.
    assert min(lost) == AT_NS - 1
    assert max(lost) <= shock.end_ns
    before, after = (mids[min(mids, key=lambda ns: abs(ns - at))] for at in (AT_NS - S, shock.end_ns + S))
    assert 1e4 * (after / before - 1) == pytest.approx(50.0, abs=5.0)


def test_drops_that_were_over_before_the_first_message_are_left_out() -> None:
    trial = tick_trial([tick_source(ticks=60)])
    drops = (Drop(BEGIN_NS - 10 * S, BEGIN_NS - 5 * S), Drop(BEGIN_NS + 30 * S, BEGIN_NS + 32 * S))
    assert run_trial(replace(trial, drops=drops)).figures["connections"] == 2


def test_a_shock_outside_of_the_trial_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="it is not within the data, 2014-04-29 08:00:00 to 2014-04-29 08:09:59 UTC"):
        with_shocks(tick_trial(), [Shock("stale", "EURUSD", BEGIN_NS + 700 * S, 30.0)])


@pytest.mark.slow
def test_a_response_tells_level_delay_and_what_was_held() -> None:
    shocks = [
        Shock("depth", "EURUSD", BEGIN_NS + 300 * S + S // 2, 20.0, 0.1),
        Shock("spread", "EURUSD", AT_NS, 40.0, 10.0),
    ]
    result = run_trial(with_shocks(tick_trial([tick_source(ticks=500)]), shocks))
    _, answer = responses(result, reversed(shocks))
    rows = result.clocks[(result.clocks["time_ns"] >= AT_NS) & (result.clocks["time_ns"] < AT_NS + 100 * S)]
    assert (answer.name, answer.at_ns, answer.highest_level) == ("shock spread", AT_NS, rows["crisis_level"].max())
    first = rows["time_ns"][rows["crisis_level"][:, 0] > 0][0]
    assert answer.delay_s in (0.0, (first - AT_NS) / S)  # 0 where the shock before still counts
    assert answer.leverage_after == abs(rows["leverage"][-1, 0])
    assert answer.fills == ((result.fills["time_ns"] >= AT_NS) & (result.fills["time_ns"] < AT_NS + 100 * S)).sum()
