"""The proof that a backtest looks at nothing ahead, and that the proof can fail."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from tick_trials import BEGIN_NS, S, tick_source, tick_trial

from bot.assembly import Run
from bot.engine.decision import Decision
from bot.engine.settings import EngineSettings
from bot.market.seasonality import Seasonality
from bot.research.backtest.look_ahead import altered_after
from bot.research.backtest.messages import Messages
from bot.sizing.strategy import Parametrised
from bot.trial_variants import look_ahead
from bot.trials import Trial, run_trial


@dataclass
class _Crystal:
    """A ball that shows the price of a minute ahead, made of the messages before they are played."""

    times_ns: list[int] = field(default_factory=list)
    bids_e5: list[int] = field(default_factory=list)
    now_ns: int = 0

    def fill(self, pieces: Iterator[Messages]) -> Iterator[Messages]:
        held = list(pieces)
        self.times_ns, self.bids_e5 = [], []
        for piece in held:
            starts = piece.ends - np.diff(piece.ends, prepend=0)
            self.times_ns += piece.times_ns.tolist()
            self.bids_e5 += np.maximum.reduceat(piece.rows["price_e5"], starts).tolist() if len(starts) else []
        return iter(held)

    def see(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def rise_within(self, ahead_ns: int) -> float:
        """Return how much the price will rise within a time, as a ratio."""
        now, later = np.searchsorted(self.times_ns, [self.now_ns, self.now_ns + ahead_ns])
        last = len(self.bids_e5) - 1
        return self.bids_e5[min(later, last)] / self.bids_e5[min(now, last)] - 1 if self.bids_e5 else 0.0


def peeking(trial: Trial) -> Trial:
    """Return a trial whose strategy knows the price of a minute ahead."""
    crystal = _Crystal()

    @dataclass(frozen=True)
    class Peeks(Parametrised):
        name: ClassVar[str] = "peeks"
        requires_caps: ClassVar[bool] = False
        factor_names: ClassVar[tuple[str, ...]] = ("knows",)

        def factors(self, table: np.ndarray, side: np.ndarray) -> np.ndarray:
            return np.full((1, len(table)), 1.0 if crystal.rise_within(60 * S) > 0 else 0.25)

    def change(settings: EngineSettings) -> EngineSettings:
        return replace(settings, strategy=Peeks())

    return replace(trial, change=change, alter=crystal.fill, on_now=crystal.see)


def test_what_happened_up_to_a_time_is_the_same_whatever_comes_after_it() -> None:
    cuts = look_ahead(tick_trial(), cuts=2)
    assert [cut.difference for cut in cuts] == [None, None]
    assert all(cut.differs_after and cut.is_passed for cut in cuts)
    assert BEGIN_NS < cuts[0].at_ns < cuts[1].at_ns < BEGIN_NS + 600 * S
    assert cuts[1].rows > 300
    assert cuts[1].fills > 0
    assert cuts[1].decisions > cuts[0].decisions > 100


def test_a_strategy_that_peeks_is_caught_with_the_first_thing_that_differs() -> None:
    at_ns = BEGIN_NS + 300 * S
    (cut,) = look_ahead(peeking(tick_trial()), at_ns=[at_ns])
    assert not cut.is_passed
    assert cut.difference is not None
    assert at_ns - 60 * S <= cut.difference.time_ns <= at_ns  # it peeks a minute ahead, and no further
    assert cut.difference.unaltered != cut.difference.altered


def test_a_decision_that_peeks_is_told_with_both_of_its_values() -> None:
    trial = peeking(tick_trial([tick_source(ticks=240)]))
    (cut,) = look_ahead(replace(trial, record_s=3_600.0), at_ns=[BEGIN_NS + 150 * S])  # no row shows it
    assert cut.difference is not None
    assert (cut.difference.what, cut.difference.name) == ("decision", "rows")
    assert repr(cut.difference.unaltered) != repr(cut.difference.altered)


def test_a_time_after_which_nothing_comes_proves_nothing() -> None:
    trial = tick_trial([tick_source(ticks=120)])
    (cut,) = look_ahead(trial, at_ns=[BEGIN_NS + 119 * S - 1])
    assert cut.difference is None
    assert cut.differs_after
    with pytest.raises(ValueError, match="2014-04-29 08:02:00 is not within the data, 2014-04-29 08:00:00 to"):
        look_ahead(trial, at_ns=[BEGIN_NS + 120 * S])


SILENT_NS = BEGIN_NS + 60 * S


def silent_trial(until_ns: int = 2**62) -> Trial:
    """Return a trial whose quotes are silent for fifty minutes behind the first minute."""
    whole = tick_source(ticks=90)

    def stream(place: int, from_ns: int) -> Iterator[Messages]:
        for piece in whole.stream(place, from_ns):
            late_ns = np.where(piece.times_ns >= SILENT_NS, 3_000 * S, 0)
            yield Messages(piece.times_ns + late_ns, piece.ends, piece.rows)

    span_ns = (whole.span_ns[0], whole.span_ns[1] + 3_000 * S)
    trial = tick_trial([replace(whole, span_ns=span_ns, stream=stream)])
    return replace(trial, conditions=replace(trial.conditions, clock_s=1.0), until_ns=until_ns)


def test_a_time_in_a_silence_shows_no_difference_and_proves_nothing_but_shortly_before_its_end() -> None:
    at_ns = [SILENT_NS - S + 1_000_000, SILENT_NS + 600 * S, SILENT_NS + 1_500 * S]
    *silent, proof = look_ahead(silent_trial(), at_ns=at_ns)
    assert [cut.difference for cut in (*silent, proof)] == [None] * 3
    assert [(cut.altered_messages, cut.differs_after, cut.is_passed) for cut in silent] == [(0, False, False)] * 2
    assert proof.is_passed
    assert proof.altered_messages > 15
    assert proof.decisions > 60 + 150  # it went on by the clock, every ten seconds


@pytest.mark.slow
def test_a_trial_that_ends_in_a_silence_is_compared_as_far_as_it_goes() -> None:
    (cut,) = look_ahead(silent_trial(SILENT_NS + 2_000 * S), at_ns=[SILENT_NS + 1_500 * S])
    assert (cut.difference, cut.altered_messages, cut.is_passed) == (None, 0, False)


def test_altering_leaves_what_is_up_to_the_time_and_changes_prices_sizes_and_messages_after_it() -> None:
    (piece,) = tick_source().stream(0, 0)
    at_ns = int(piece.times_ns[299])
    before, after = altered_after(iter([piece]), at_ns)
    true = piece.part(0, 300)
    assert all(np.array_equal(a, b) for a, b in zip(before, true, strict=True))
    assert 0.7 * (len(piece.times_ns) - 300) < len(after.times_ns) < 0.9 * (len(piece.times_ns) - 300)
    assert set(after.times_ns.tolist()) <= set(piece.times_ns[300:].tolist())
    assert after.ends[-1] == len(after.rows)
    shift = after.rows["price_e5"].max() / piece.rows["price_e5"][piece.ends[299] :].max() - 1
    assert 0.001 < abs(shift) < 0.008
    first, second = (list(altered_after(iter([piece]), at_ns, seed))[1].times_ns[:50] for seed in (1, 2))
    assert not np.array_equal(first, second)


# -- usual values by the time of day ------------------------------------------------------------------------------


HOUR_NS = 3_600 * S


@pytest.fixture(scope="module")
def two_days() -> Trial:
    """The same hours of two days, a tick every 30 s, with usual values by the time of day."""
    trial = tick_trial([tick_source(ticks=2_990, step_s=30.0)], sizing={"time_of_day": True, "calendar": False})
    return replace(trial, conditions=replace(trial.conditions, clock_s=60.0), record_s=60.0)


@pytest.mark.slow
def test_usual_values_of_two_days_look_at_nothing_ahead(two_days: Trial) -> None:
    (cut,) = look_ahead(two_days, at_ns=[BEGIN_NS + 24 * HOUR_NS + 20 * 60 * S])
    assert cut.difference is None
    assert cut.differs_after


@pytest.mark.slow
def test_usual_values_that_know_the_quarter_of_an_hour_to_come_are_caught(
    two_days: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    crystal = _Crystal()
    honest = Seasonality._use

    def peek(self: Seasonality, state: np.ndarray, b: int, d: int, which: np.ndarray) -> None:
        honest(self, state, b, d, which)
        state["usual"] += crystal.rise_within(900 * S)

    monkeypatch.setattr(Seasonality, "_use", peek)
    at_ns = BEGIN_NS + 24 * HOUR_NS + 35 * 60 * S
    (cut,) = look_ahead(replace(two_days, alter=crystal.fill, on_now=crystal.see), at_ns=[at_ns])
    assert not cut.is_passed
    assert cut.difference is not None
    assert at_ns - 900 * S <= cut.difference.time_ns <= at_ns


@pytest.mark.slow
def test_a_bin_of_a_day_uses_the_days_before_it_only(two_days: Trial) -> None:
    def learnt_until(at_ns: int) -> dict[tuple[int, int], Any]:
        told: list[Any] = []

        def watch(run: Run, decision: Decision) -> None:
            if decision.now_ns > at_ns - 120 * S:
                told.append(run.engine.usual()["EURUSD"]["bins"])

        run_trial(replace(two_days, until_ns=at_ns), watch=watch)
        return {(b, d): (days, base) for b, d, days, base, _ in told[-1]}

    first_day = learnt_until(BEGIN_NS + 4 * HOUR_NS)
    bins = sorted(first_day)  # 08:00 UTC is 04:00 in New York: the quarters 16 and on
    assert (16, 0) in bins
    # Ten minutes into the quarter 18 of the second day: it is as the first day left it; the two before have moved on.
    second_day = learnt_until(BEGIN_NS + 24 * HOUR_NS + 40 * 60 * S)
    assert second_day[18, 0] == first_day[18, 0]
    assert first_day[17, 0][0] == 1
    assert second_day[17, 0][0] == 2
    assert second_day[17, 0] != first_day[17, 0]
