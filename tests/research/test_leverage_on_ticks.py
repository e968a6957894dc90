"""The whole engine on real FX ticks: cut when liquidity vanishes, back slowly, and cheap while all is calm."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from recordings import recording
from tick_settings import tick_settings

from bot.research.leverage_study import SECOND_NS, Answer
from bot.research.tick_run import run_ticks
from bot.research.tick_study import Study, study

pq = pytest.importorskip("pyarrow.parquet")
pytestmark = pytest.mark.slow

FXCM, OANDA = "fx_fxcm_EURUSD_2014-05.parquet", "fx_oanda_EURUSD_2014-05.parquet"
KIWI, GOLD = "fx_oanda_NZDUSD_2014-05.parquet", "fx_oanda_XAUUSD_2014-05.parquet"
ALL = (FXCM, OANDA, KIWI, GOLD)


@cache
def studied(name: str) -> Study:
    """One run a recording: they take a minute or two."""
    return study(recording(name), tick_settings(name.split("_")[2]))


def answered(name: str, moment: str) -> list[Answer]:
    return [a for a in studied(name).answers if moment in a.moment.name]


@pytest.mark.parametrize("name", [FXCM, OANDA])
def test_payrolls_halve_what_is_wanted_and_held_within_a_second_of_the_opening_of_the_spread(name: str) -> None:
    (payrolls,) = answered(name, "payrolls")
    assert payrolls.goal_cut_s is not None and payrolls.goal_cut_s <= 1.0
    assert payrolls.held_cut_s is not None and payrolls.held_cut_s <= 1.0
    assert payrolls.level == 3
    assert payrolls.held_least == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_a_spread_that_alone_asks_for_a_crisis_is_one_within_a_second(name: str) -> None:
    alarming = [a for a in studied(name).answers if a.alarming_ns is not None]
    assert name == OANDA or alarming
    for a in alarming:
        assert a.level_before >= 1 or a.crisis_ns is not None, a.moment.name
        if a.crisis_ns is not None:
            assert a.crisis_ns - a.alarming_ns <= SECOND_NS, a.moment.name


# Four times the usual spread, and no more than five, is no crisis by the detector's own thresholds where spreads vary
# that much at this hour; what is wanted then falls with the square root of the spread only.
NOT_MET = {(FXCM, "rollover of 7 May"), (FXCM, "rollover of 8 May"), (GOLD, "rollover of 1 May")}


WIDE_ROLL_OVERS = {FXCM: 5, OANDA: 0, KIWI: 1, GOLD: 1}


@pytest.mark.parametrize("name", ALL)
def test_a_roll_over_whose_spread_reaches_four_times_usual_is_met_within_a_second_or_known_not_to_be(name: str) -> None:
    wide = [a for a in answered(name, "rollover") if a.wide_ns is not None]
    assert len(wide) == WIDE_ROLL_OVERS[name]
    assert {(name, a.moment.name) for a in wide} >= {known for known in NOT_MET if known[0] == name}
    for a in wide:
        is_met = a.goal_cut_s is not None and a.goal_cut_s <= 1.0
        assert is_met == ((name, a.moment.name) not in NOT_MET), a.moment.name


@pytest.mark.parametrize("name", ALL)
def test_levels_fall_one_by_one_after_their_hold_downs(name: str) -> None:
    found = studied(name)
    assert found.breaches == ()
    assert {c.level for c in found.crises} >= {3}, "or there was nothing to see"


@pytest.mark.parametrize(("name", "most_a_day"), [(FXCM, 0.2), (OANDA, 0.0), (KIWI, 0.0), (GOLD, 0.0)])
def test_a_crisis_without_a_reason_in_calendar_or_spread_is_rare(name: str, most_a_day: float) -> None:
    assert studied(name).false_alarms_per_day <= most_a_day


# Of a day, in bps of equity at a base of one. Models 16 has 0.2, 1.2 and 0.8 a day (EURUSD, NZDUSD, gold) for a band of
# a quarter; its bound of 1 is for majors.
NOISE_BOUNDS = [(FXCM, 0.1, 0.03), (OANDA, 0.6, 0.08), (KIWI, 1.0, 0.2), (GOLD, 1.2, 0.6)]


@pytest.mark.parametrize(("name", "most_bps", "mean_bps"), NOISE_BOUNDS)
def test_the_noise_of_the_market_costs_no_more_a_day_than_the_bound(
    name: str, most_bps: float, mean_bps: float
) -> None:
    noise = [costs["noise"][1] for _, costs in studied(name).costs]
    assert max(noise) <= most_bps
    assert np.mean(noise) <= mean_bps


@pytest.mark.parametrize("name", ALL)
def test_within_three_quiet_hours_what_a_crisis_has_cut_is_built_up_again(name: str) -> None:
    found, seconds = studied(name), studied(name).run.seconds
    ends_ns = [*(crisis.begin_ns for crisis in found.crises[1:]), int(seconds["time_ns"][-1])]
    spells = [(c.end_ns, until) for c, until in zip(found.crises, ends_ns, strict=True) if c.end_ns is not None]
    quiet = [(begin, until) for begin, until in spells if until - begin >= 3 * 3600 * SECOND_NS]
    assert len(quiet) >= 4
    for begin, until in quiet:
        held = seconds["held"][(seconds["time_ns"] > begin) & (seconds["time_ns"] < until)]
        assert held.max() > 0.3, np.datetime64(begin, "ns")
    assert sum(costs["rebuild"][0] for _, costs in found.costs) > 0


@pytest.mark.parametrize("name", [FXCM, OANDA])
def test_on_the_major_the_way_back_after_crises_is_within_the_bound_too(name: str) -> None:
    for day, costs in studied(name).costs:
        assert costs["noise"][1] + costs["rebuild"][1] <= 1.0, day


def test_a_recording_that_ends_in_the_middle_of_a_crisis_gives_the_same_records_up_to_there(tmp_path: Path) -> None:
    whole = studied(OANDA).run
    first = next(c for c in studied(OANDA).crises if c.level == 3)
    last_ns = first.begin_ns + SECOND_NS // 4
    ticks = pq.read_table(recording(OANDA))
    kept = int((ticks.column("ts_us").to_numpy() * 1_000 <= last_ns).sum())
    pq.write_table(ticks.slice(0, kept), tmp_path / OANDA)
    part = run_ticks([tmp_path / OANDA], tick_settings("EURUSD"))
    assert part.moves[-1]["level"] > 0
    until_ns = int(part.moves[-1]["time_ns"])
    for mine, theirs in ((part.seconds, whole.seconds), (part.moves, whole.moves), (part.fills, whole.fills)):
        mine, theirs = (rows[rows["time_ns"] <= until_ns] for rows in (mine, theirs))
        assert len(mine) > 0
        assert mine.tobytes() == theirs.tobytes()
