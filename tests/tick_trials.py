"""Small trials on made-up ticks: a random walk with a spread, depth shaped around it, a tick every so often."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bot.config import Config
from bot.research.backtest.messages import Messages
from bot.research.sources import Source
from bot.research.streams import shape_table, tick_messages
from bot.sim import shape
from bot.sim.listing import FX_WEEK, default_symbols
from bot.trial_assumptions import conditions_of
from bot.trials import Trial

S = 1_000_000_000
BEGIN_NS = 1_398_758_400 * S  # Tuesday 2014-04-29 08:00 UTC


def tick_source(
    name: str = "EURUSD", *, ticks: int = 600, step_s: float = 1.0, seed: int = 1, spread: float = 8
) -> Source:
    """Return ticks of a symbol from `BEGIN_NS` on; `spread` in 1/100000."""
    random = np.random.default_rng(seed)
    spec = replace(
        next(each for each in default_symbols() if each.name == name),
        symbol_id=1,
        schedule=FX_WEEK.schedule,
        schedule_time_zone=FX_WEEK.time_zone,
    )
    mids = 1.1 + np.cumsum(random.normal(0.0, 2e-5, ticks))
    half = spread * random.uniform(0.5, 1.5, ticks) / 2e5
    times_us = BEGIN_NS // 1_000 + (np.arange(ticks) * step_s * 1e6).astype(np.int64)
    columns = {"ts_us": times_us, "bid": np.round(mids - half, 5), "ask": np.round(mids + half, 5)}
    shapes = shape_table(shape.built_in_shapes(), 1)

    def stream(place: int, from_ns: int) -> Iterator[Messages]:
        return tick_messages(iter([columns]), place, spec, shapes, 100_000_000)

    return Source("ticks", spec, "made-up ticks", (int(times_us[0]) * 1_000, int(times_us[-1]) * 1_000), stream)


def tick_trial(sources: Sequence[Source] | None = None, **sections: Any) -> Trial:
    """Return a trial of the composite strategy over sources; `sections` of the config beside the defaults."""
    chosen = [tick_source()] if sources is None else sources
    content: dict[str, Any] = {
        "venue": {"environment": "simulator"},
        "symbols": {source.spec.name: {} for source in chosen},
        "strategy": {"name": "composite", "base_leverage": 1},
        "sizing": {"warm_up_s": 20, "persistence_s": 1},
        "risk": {"max_daily_loss_frac": 0.5, "max_drawdown_frac": 0.5},
        "execution": {"order_type": "market"},
    }
    config = Config.model_validate(content | sections)
    return Trial("trial", config, chosen, conditions_of(config))
