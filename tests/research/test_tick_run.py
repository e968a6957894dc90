"""The engine over made-up ticks: a calm market, a minute in which the spread is ten times as wide, and calm again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tick_settings import tick_settings

from bot.market.delta import END_SPOT, SPOT_ASK, SPOT_BID, delta_rows
from bot.research.fill_costs import CRISIS_CUT, NOISE, OPENING, REBUILD
from bot.research.streams import Batch
from bot.research.tick_run import TickRun, run_batches, run_ticks, symbol_of
from bot.sim.listing import FX, FX_WEEK, recorded_symbol

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SECOND = 1_000_000_000
START = 1_398_952_800 * SECOND  # Thursday, 1 May 2014, 14:00 UTC
WIDE, CALM_AGAIN = START + 100 * SECOND, START + 103 * SECOND
EURUSD = replace(
    recorded_symbol("EURUSD", 5, FX),
    leverage_id=None,
    schedule=FX_WEEK.schedule,
    schedule_time_zone=FX_WEEK.time_zone,
)


def ticks(until_s: int = 1_000) -> list[Batch]:
    """A quote a second, 0.8 pip wide, and 8 pips for three of them."""
    batches = []
    for second in range(until_s):
        now_ns = START + second * SECOND
        half = 40 if WIDE <= now_ns < CALM_AGAIN else 4
        mid = 138_000 + second % 3
        rows = [(SPOT_BID, 0, 0, mid - half, 0), (SPOT_ASK, 0, 0, mid + half, 0), (END_SPOT, 0, 0, 0, 0)]
        batches.append((now_ns, delta_rows(rows)))
    return batches


def run(batches: list[Batch]) -> TickRun:
    return run_batches(batches, [EURUSD], tick_settings("EURUSD", strategy="constant"))


@pytest.fixture(scope="module")
def whole() -> TickRun:
    return run(ticks())


def test_a_crisis_is_met_within_half_a_second_and_given_up_level_by_level(whole: TickRun) -> None:
    changes = whole.moves[np.flatnonzero(np.diff(whole.moves["level"])) + 1]
    assert changes["level"].tolist() == [3, 2, 1, 0]
    assert WIDE + SECOND // 4 <= changes["time_ns"][0] <= WIDE + SECOND // 2
    assert np.diff(changes["time_ns"])[1:].min() >= 60 * SECOND
    assert changes["goal"].tolist() == pytest.approx([0.0, 0.25, 0.5, 1.0])
    assert (whole.moves["signs"][whole.moves["level"] > 0].max(axis=1) > 0).any()


def test_fills_cost_half_of_the_spread_and_say_what_they_were_for(whole: TickRun) -> None:
    assert whole.fills["tag"].tolist() == [OPENING, CRISIS_CUT, REBUILD, NOISE]
    opening, cut, back, rest = whole.fills
    assert whole.fills["held_after"] == pytest.approx([1.0, 0.0, 1.0, 1.0], abs=0.01)
    assert rest["held_after"] - rest["held_before"] < 0.01, "the crisis has cost a little equity"
    assert opening["cost_bps"] == pytest.approx(4 / 13.8, rel=0.02)
    assert cut["cost_bps"] == pytest.approx(40 / 13.8, rel=0.02)
    assert cut["level"] == 3
    assert back["time_ns"] > CALM_AGAIN + 839 * SECOND


def test_there_is_a_record_of_each_second_with_what_was_seen_and_held(whole: TickRun) -> None:
    seconds = whole.seconds
    assert len(seconds) == 1_000
    assert (np.diff(seconds["time_ns"] // SECOND) == 1).all()
    wide = seconds[(seconds["time_ns"] >= WIDE) & (seconds["time_ns"] < CALM_AGAIN)]
    assert wide["spread_bps"] == pytest.approx(np.full(3, 80 / 13.8), rel=1e-4)
    assert wide["usual_spread_bps"] == pytest.approx(np.full(3, 8 / 13.8), rel=0.01)
    assert wide["held"][-1] == 0.0


@pytest.mark.parametrize("cut_s", [50, 101, 700])
def test_what_comes_later_changes_nothing_of_what_was(whole: TickRun, cut_s: int) -> None:
    part = run(ticks(cut_s))
    last_ns = START + (cut_s - 1) * SECOND
    for mine, theirs in ((part.seconds, whole.seconds), (part.moves, whole.moves), (part.fills, whole.fills)):
        assert mine.tobytes() == theirs[theirs["time_ns"] <= last_ns].tobytes()
    assert len(part.seconds) == cut_s


def test_in_silence_the_clock_goes_on_in_larger_steps(whole: TickRun) -> None:
    batches = ticks(60)
    later_ns = batches[-1][0] + 600 * SECOND
    silent = run([*batches, (later_ns, ticks(1)[0][1])])
    gaps = np.diff(silent.seconds["time_ns"]) // SECOND
    assert gaps.max() == 10
    assert silent.decisions < 60 + 5 + 62


def _write(path: Path, seconds: int, base: float) -> Path:
    bid = base + np.arange(seconds) % 3 / 1e5
    times = START // 1_000 + np.arange(seconds) * 1_000_000
    pq.write_table(pa.table({"ts_us": times, "bid": bid, "ask": bid + 8 / 1e5}), path)
    return path


def test_recordings_are_run_together_in_the_order_of_their_times(tmp_path: Path) -> None:
    paths = [
        _write(tmp_path / f"fx_x_{name}_.parquet", 30, base) for name, base in (("EURUSD", 1.38), ("NZDUSD", 0.86))
    ]
    both = run_ticks(paths, tick_settings("EURUSD", "NZDUSD", strategy="constant"))
    assert [spec.name for spec in both.specs] == ["EURUSD", "NZDUSD"]
    assert sorted(set(both.fills["symbol"].tolist())) == [0, 1]
    assert set(both.seconds["symbol"].tolist()) == {0, 1}
    assert both.fills["held_after"] == pytest.approx([1.0, 1.0], abs=0.02)


def test_a_symbol_that_is_not_quoted_in_dollars_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="EURJPY is not quoted in USD"):
        symbol_of(_write(tmp_path / "fx_x_EURJPY_.parquet", 3, 140.0))
