"""Trials that are changes of another one: with shocks in its market, and cut short to see whether it looks ahead."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from bot.research.backtest.look_ahead import Alter, Cut, Watch, check_look_ahead
from bot.research.backtest.messages import Messages, silence
from bot.research.backtest.result import Result
from bot.research.shocks.altered import altered
from bot.research.shocks.shock import Shock, checked, drops
from bot.trials import Trial, run_trial, span_ns


def with_shocks(trial: Trial, shocks: Sequence[Shock]) -> Trial:
    """Return a trial whose market has shocks, on top of whatever else alters its messages.

    Raises: ValueError, one line, for a shock that the trial cannot play.
    """
    specs = [source.spec for source in trial.sources]
    ordered = checked(shocks, [spec.name for spec in specs], *span_ns(trial))

    def alter(pieces: Iterator[Messages]) -> Iterator[Messages]:
        return altered(trial.alter(pieces), ordered, specs)

    return replace(trial, alter=alter, drops=(*trial.drops, *drops(ordered)))


def look_ahead(
    trial: Trial,
    *,
    at_ns: Sequence[int] = (),
    cuts: int = 3,
    seed: int = 1,
    on_progress: Callable[[int, int], None] = lambda run, now_ns: None,
) -> tuple[Cut, ...]:
    """Return whether a trial's results up to some times depend on anything after them (`backtest.look_ahead`).

    Args: `at_ns` the times, else `cuts` of them spread over the run; `on_progress` is told which run it is, from 0, and
        how far it is.
    Raises: as `run_trial`; ValueError for a time that is not within the trial, or too little data.
    """
    begin_ns, end_ns = span_ns(trial)
    for at in at_ns:
        if not begin_ns < at < end_ns:
            raise ValueError(f"{_utc(at)} is not within the data, {_utc(begin_ns)} to {_utc(end_ns)}")
    numbers = itertools.count()

    def run(alter: Alter, until_ns: int, watch: Watch) -> Result:
        number = next(numbers)

        def alter_to_the_end(pieces: Iterator[Messages]) -> Iterator[Messages]:
            yield from trial.alter(alter(pieces))
            # However early the last message that is left comes, every run goes on as long.
            yield silence(min(end_ns, until_ns))

        changed = replace(trial, alter=alter_to_the_end, until_ns=min(trial.until_ns, until_ns))
        return run_trial(
            changed,
            on_progress=lambda rows, now_ns: on_progress(number, now_ns),
            watch=lambda run, decision: watch(decision),
        )

    return check_look_ahead(run, at_ns=at_ns, cuts=cuts, seed=seed)


def _utc(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%F %T}"
