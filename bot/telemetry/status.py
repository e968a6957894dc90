"""The state of a running bot as one JSON object: what `microlev status` shows. Looking changes nothing.

Every key is there in every answer; what is unknown is null. Money is in deposit currency, leverage in equities.
"""

import math
import os
from collections.abc import Sequence
from typing import Any

from bot.account.position import Position
from bot.account.trading import Cause
from bot.config import Config
from bot.ctrader.session import Session
from bot.engine.engine import Engine
from bot.engine.explained import Explanation
from bot.execution.in_flight import OwnOrder
from bot.market.symbols import SymbolSpec
from bot.sizing.bound import Bound
from bot.telemetry.figures import RunFigures
from bot.telemetry.plain import iso_time, known


def status(
    config: Config,
    session: Session,
    engine: Engine,
    figures: RunFigures,
    now_ns: int,
    explanations: Sequence[Explanation] | None = None,
) -> dict[str, Any]:
    """Return everything a person may want to know of a run at one moment.

    Args: `explanations` are the engine's, for who has them already.
    """
    if explanations is None:
        explanations = engine.explanations()
    account, equity, margin = engine.account, engine.valuation.equity, engine.used_margin()
    balance, state = engine.portfolio.balance, figures.state
    specs = {spec.symbol_id: spec for spec in engine.specs}
    return {
        "type": "status",
        "time": iso_time(now_ns),
        "account_id": account.account_id if account is not None else config.account.id,
        "account_type": account.account_type if account is not None else None,
        "deposit_currency": account.deposit_asset if account is not None else None,
        "environment": config.venue.environment,
        "mode": config.mode,
        "strategy": config.strategy.name,
        "run_id": session.plan.run_id,
        "process_id": os.getpid(),
        "equity": known(equity),
        "balance": None if balance is None else float(balance),
        "used_margin": known(margin),
        "margin_level": known(equity / margin) if margin > 0 else None,
        "trading": engine.trading,
        "stopping": engine.is_stopping,
        "causes": [
            {
                "code": cause.code,
                "level": cause.level,
                "text": cause.text,
                "since": iso_time(cause.since_ns),
                "until": None if cause.until_ns is None else iso_time(cause.until_ns),
                "flattens": cause.flattens,
                "by_limit": cause.by_limit,
                **cause_numbers(cause),
            }
            for cause in engine.causes
        ],
        "ready": state is not None and state.ready,
        "reasons": list(state.reasons) if state is not None else [],
        "texts": list(state.texts) if state is not None else [],
        "hands_off": list(engine.hands_off),
        "positions": [_position(p, specs.get(p.symbol_id), engine) for p in engine.portfolio.positions()],
        "orders": [_order(order, specs.get(order.symbol_id), figures, now_ns) for order in engine.open_orders],
        "leverage": _leverage(config, engine, explanations),
        "connected": figures.connected_ns is not None,
        "connected_s": None if figures.connected_ns is None else round((now_ns - figures.connected_ns) / 1e9, 3),
        "connections": figures.connections,
        "last_error": None
        if figures.last_error is None
        else {"time": iso_time(figures.last_error[0]), "text": figures.last_error[1]},
        "orders_last_minute": engine.orders_last_minute,
        "max_orders_per_minute": config.risk.max_orders_per_minute,
    }


def cause_numbers(cause: Cause) -> dict[str, Any]:
    """Return the numbers of a cause of the trading state, and the reason that somebody gave for it; None without."""
    value, limit = (None if number is None else known(number) for number in (cause.value, cause.limit))
    return {"value": value, "limit": limit, "note": cause.note or None}


def _position(position: Position, spec: SymbolSpec | None, engine: Engine) -> dict[str, Any]:
    return {
        "position_id": position.position_id,
        "symbol": spec.name if spec is not None else None,
        "side": "buy" if position.volume_cents > 0 else "sell",
        "volume_cents": abs(position.volume_cents),
        "lots": abs(position.volume_cents) / spec.lot_size_cents if spec is not None else None,
        "price": position.price,
        "ours": engine.portfolio.is_ours(position),
        "label": position.label,
        "stop_loss": position.stop_loss,
        "take_profit": position.take_profit,
        "unrealised": _unrealised(position, engine),
        "used_margin": None if position.used_margin is None else float(position.used_margin),
    }


def _unrealised(position: Position, engine: Engine) -> float | None:
    """Return a position's profit at the price it would be closed at, deposit currency, before costs; None unknown."""
    s = next((i for i, spec in enumerate(engine.specs) if spec.symbol_id == position.symbol_id), None)
    if s is None or engine.table is None:
        return None
    price = engine.table["bid" if position.volume_cents > 0 else "ask"][s]
    return known(position.volume_cents / 100 * (price - position.price) * engine.quote_rate(s))


def _order(order: OwnOrder, spec: SymbolSpec | None, figures: RunFigures, now_ns: int) -> dict[str, Any]:
    change = figures.open_orders.get(order.client_order_id)
    planned = change.order if change is not None else None
    return {
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "position_id": order.position_id,
        "symbol": spec.name if spec is not None else None,
        "action": planned.action if planned is not None else None,
        "side": planned.side if planned is not None else None,
        "order_type": planned.order_type if planned is not None else None,
        "volume_cents": abs(order.volume_cents),
        "executed_cents": order.executed_cents,
        "limit_price": order.limit_price,
        "state": order.state,
        "resting": order.is_resting,
        "age_s": round((now_ns - order.sent_ns) / 1e9, 3),
    }


def _leverage(config: Config, engine: Engine, explanations: Sequence[Explanation]) -> list[dict[str, Any]]:
    explained = {each.symbol: each for each in explanations}
    held = dict(zip([spec.name for spec in engine.specs], engine.valuation.leverage.tolist(), strict=False))
    lines = []
    for name in config.symbols:
        each = explained.get(name)
        is_bound = each is not None and each.bound is not Bound.NONE
        lines.append(
            {
                "symbol": name,
                "leverage_now": known(held.get(name, math.nan)),
                "leverage_goal": known(each.leverage_goal) if each is not None else None,
                "leverage_target": known(each.leverage_target) if each is not None else None,
                "bound": each.bound.name.lower() if each is not None and is_bound else None,
                "text": each.text if each is not None else None,
            }
        )
    return lines
