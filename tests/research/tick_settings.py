"""The settings of a run over ticks, as a config would give them: one symbol, long, one times equity."""

from typing import Any

from bot.assembly import engine_settings
from bot.config import Config
from bot.engine.settings import EngineSettings


def tick_settings(*names: str, strategy: str = "composite", **sections: Any) -> EngineSettings:
    """Return the settings for these symbols; `sections` of the config beside the defaults."""
    content: dict[str, Any] = {
        "venue": {"environment": "simulator"},
        "symbols": {name: {} for name in names},
        "strategy": {"name": strategy, "base_leverage": 1},
    }
    return engine_settings(Config.model_validate(content | sections), "study")
