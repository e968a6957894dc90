"""The account as a page shows it: how much is used of every limit, and how far the stop-out is."""

import math
from typing import Any

import numpy as np

from bot.config import Config
from bot.engine.engine import Engine
from bot.telemetry.plain import known


def account_view(config: Config, engine: Engine) -> dict[str, Any]:
    """Return what is used of each limit, as plain JSON.

    `stop_out_loss` is what may be lost, at the margin of now, until the margin level is `stop_out_level_frac`;
    `stop_out_move_frac` the move of every held symbol against us at once that loses it.
    Units: money in deposit currency; leverage in equities; `_frac` fractions; a margin level is equity / used margin.
    Missing: None: unknown, or, of a margin level and a distance, nothing is held.
    """
    risk, equity, margin = config.risk, engine.valuation.equity, engine.used_margin()
    total = float(np.sum(np.abs(engine.valuation.leverage))) if len(engine.valuation.leverage) else 0.0
    room = equity - risk.stop_out_level_frac * margin if margin > 0 else math.nan
    move = room / (total * equity) if total > 0 and equity > 0 else math.nan
    daily_loss, drawdown = engine.losses
    return {
        "leverage": known(total),
        "max_leverage": risk.max_leverage,
        "max_symbol_leverage": risk.max_symbol_leverage,
        "margin_use_frac": known(margin / equity) if equity > 0 else None,
        "max_margin_use_frac": risk.max_margin_use_frac,
        "margin_level": known(equity / margin) if margin > 0 else None,
        "min_margin_level_frac": risk.min_margin_level_frac,
        "stop_out_level_frac": risk.stop_out_level_frac,
        "stop_out_loss": known(room),
        "stop_out_move_frac": known(move),
        "daily_loss_frac": known(daily_loss),
        "max_daily_loss_frac": risk.max_daily_loss_frac,
        "drawdown_frac": known(drawdown),
        "max_drawdown_frac": risk.max_drawdown_frac,
    }
