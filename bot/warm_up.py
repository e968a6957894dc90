"""Compiles, or loads from the cache, what a run is made of, before any market data comes."""

import numpy as np

import strategies
from bot.assembly import engine_settings
from bot.config import Config
from bot.ctrader.hotpath import HotPath, pour_frame, pour_frames
from bot.engine.rehearsal import rehearse
from bot.engine.settings import EngineSettings
from bot.market.evaluator import Evaluator, EvaluatorSettings


def warm_up(*settings: EngineSettings) -> None:
    """Compile, or load from the cache, every loop of the quiet path, so that no market data waits for it.

    Args: `settings` of the runs to come; without any, every built-in strategy is rehearsed.
    """
    hot_path = HotPath()
    hot_path.read(*hot_path.join([b""]), 0, 0, 1)
    sink = Evaluator(np.ones(1), EvaluatorSettings()).sink
    pour_frame(b"", 1, 0, hot_path.lane, sink.function, sink.context)
    pour_frames(*hot_path.join([b""]), 1, 0, hot_path.lane, sink.function, sink.context)
    hot_path.accounts([b""])
    for each in settings or map(_plainest, sorted(strategies.BUILT_IN)):
        rehearse(each)


def _plainest(strategy: str) -> EngineSettings:
    config = Config.model_validate(
        {"venue": {"environment": "simulator"}, "symbols": {"EURUSD": {}}, "strategy": {"name": strategy}}
    )
    return engine_settings(config, "rehearsal")
