"""One recording, run and judged: what leverage did at each known moment, every crisis, and what each day cost."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bot.engine.settings import EngineSettings
from bot.research.fill_costs import TAGS, per_day
from bot.research.leverage_study import (
    Answer,
    Crisis,
    answer,
    crises,
    hold_down_breaches,
    joined,
    known_moments,
    spread_ratio,
    trading_days,
)
from bot.research.recordings import TICK_COLUMNS, Quotes, load, quotes_of_ticks
from bot.research.streams import shape_table
from bot.research.tick_run import METALS, Depth, TickRun, run_ticks
from bot.sim.shape import built_in_shapes


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """What came of one recording.

    Shapes: `records` (N,) of `RECORD`; `ratio` (M,) spread over usual at each of the `quotes`; `costs` a row a trading
        day: days since 1970-01-01, and (turnover, cost in bps of equity) by tag.
    """

    run: TickRun
    quotes: Quotes
    ratio: np.ndarray
    records: np.ndarray
    answers: tuple[Answer, ...]
    crises: tuple[Crisis, ...]
    breaches: tuple[str, ...]
    costs: tuple[tuple[int, dict[str, tuple[float, float]]], ...]

    @property
    def false_alarms_per_day(self) -> float:
        """Crises a trading day with nothing scheduled within five minutes, and a spread below three times usual."""
        return sum(crisis.is_false_alarm for crisis in self.crises) / max(len(self.costs), 1)


def study(path: Path, settings: EngineSettings, depth: Depth | None = None) -> Study:
    """Run the engine over a tick recording and judge what it did. Raises: ValueError naming a file."""
    run = run_ticks([path], settings, depth)
    quotes = quotes_of_ticks(load(path, TICK_COLUMNS))
    ratio = spread_ratio(quotes, run.seconds, run.specs[0].pip)
    records, moments = joined(run.seconds, run.moves), known_moments()
    answers = (answer(moment, records, quotes.time_ns, ratio) for moment in moments)
    by_tag = {name: per_day(run.fills, tag) for tag, name in enumerate(TAGS)}
    return Study(
        run,
        quotes,
        ratio,
        records,
        tuple(found for found in answers if found is not None),
        tuple(crises(records, run.fills, quotes.time_ns, ratio, moments)),
        tuple(hold_down_breaches(records)),
        tuple(
            (day, {name: of_tag.get(day, (0.0, 0.0)) for name, of_tag in by_tag.items()})
            for day in trading_days(run.seconds)
        ),
    )


def fixed_depth(base_asset: str) -> Depth:
    """Return depth of one and the same shape at every tick, as wide as the spread is; it is semi-synthetic.

    The shapes of a recorded book of another market would change with each tick and stand still between two of them:
    seconds in states that last milliseconds there.
    Units: one million base units at the touch, of metals ten thousand ounces.
    """
    size = 1_000_000 if base_asset in METALS else 100_000_000
    return Depth(shape_table(built_in_shapes(), 1), size)
