"""Snapshots as a run makes them, one key at a time changed: what the live table has to show."""

import copy
from typing import Any

from rich.text import Text

from bot.cli.picture import picture

EVENT = {
    "number": 1, "time": "2026-11-27T05:34:20.799Z", "kind": "notice", "symbol": None, "code": "transfer",
    "text": "10.00 USD came in", "action": None, "side": None, "lots": None, "price": None, "client_order_id": None,
    "paper": None,
}  # fmt: skip
FILLED = EVENT | {
    "kind": "order", "symbol": "EURUSD", "code": "filled", "text": "composite: +0.22x -> +0.37x", "action": "increase",
    "side": "buy", "lots": 0.01, "price": 1.09997, "client_order_id": "run1-5", "paper": False,
}  # fmt: skip
POSITION = {
    "position_id": 300001, "symbol": "EURUSD", "side": "buy", "volume_cents": 300_000, "lots": 0.03,
    "price": 1.0999733333333332, "ours": True, "label": "microlev", "stop_loss": None, "take_profit": None,
    "unrealised": 0.08, "used_margin": 6.6,
}  # fmt: skip
ORDER = {
    "client_order_id": "run1-9", "order_id": 7, "position_id": None, "symbol": "EURUSD", "action": "place",
    "side": "buy", "order_type": "limit", "volume_cents": 100_000, "executed_cents": 0, "limit_price": 1.1,
    "state": "accepted", "resting": True, "age_s": 12.0,
}  # fmt: skip
CAUSE = {
    "code": "daily_loss", "level": "halted", "text": "daily_loss is 2.10% of equity", "since": EVENT["time"],
    "until": "2026-11-27T22:00:00.000Z", "flattens": True, "by_limit": True,
}  # fmt: skip


def symbol(name: str = "EURUSD", **changes: Any) -> dict[str, Any]:
    """Return a symbol of a snapshot: calm, held in part, kept back by the rate of increase."""
    return {
        "traded": True, "direction": "long", "symbol": name, "digits": 5, "bid": 1.1, "ask": 1.10004,
        "spread_bps": 0.36, "bid_depth_units": 8_350_011.74, "ask_depth_units": 15_385_913.86, "obi": -0.34,
        "ofi": 1.1, "liquidity_ratio": 1.11, "buy_impact_bps": 0.25, "sell_impact_bps": 0.18, "crisis_level": 0,
        "leverage_now": 0.33, "leverage_wanted": 2.19, "leverage_goal": 1.87, "leverage_target": 0.37, "bound": "rate",
        "text": "holds 0.33x of 3x, wants 2.2x: depth covers 133 lots, volatility 1.0x usual, liquidity 1.11 of usual, "
        "impact 1.2x usual, OBI -0.31, cap 8x (max_symbol_leverage); rate of increase",
        "slippage": {"fills": 3, "predicted_bps": 0.15, "realised_bps": 0.25, "error_bps": 0.1},
    } | changes  # fmt: skip


def snapshot(**changes: Any) -> dict[str, Any]:
    """Return a snapshot of a quiet run; `changes` replace whole keys, those of `limits` single ones."""
    limits = {
        "leverage": 0.53, "max_leverage": 10.0, "margin_use_frac": 0.001, "max_margin_use_frac": 0.5,
        "margin_level": 943.4, "min_margin_level_frac": 3.0, "stop_out_level_frac": 0.5, "stop_out_loss": 9994.65,
        "stop_out_move_frac": 1.9, "daily_loss_frac": 0.0, "max_daily_loss_frac": 0.02, "drawdown_frac": 0.0,
        "max_drawdown_frac": 0.1,
    } | changes.pop("limits", {})  # fmt: skip
    names = ("EURUSD", "USDJPY", "XAUUSD")
    content: dict[str, Any] = {
        "type": "snapshot", "time": "2026-11-27T05:34:28.799Z", "account_id": 1000001, "deposit_currency": "USD",
        "environment": "demo", "mode": "dry-run", "strategy": "composite", "equity": 9999.95, "balance": 10000.0,
        "used_margin": 10.6, "margin_level": 943.4, "trading": "active", "stopping": False, "causes": [],
        "ready": True, "reasons": [], "texts": [], "hands_off": [], "positions": [POSITION], "orders": [],
        "connected": True, "connected_s": 20.1, "connections": 1, "last_error": None, "orders_last_minute": 5,
        "max_orders_per_minute": 30, "source": "live", "account_limits": limits,
        "symbols": [symbol(name) for name in names], "fills": [],
        "events": [FILLED | {"number": n, "client_order_id": f"run1-{n}"} for n in range(1, 41)],
    } | changes  # fmt: skip
    return copy.deepcopy(content)


def lines(state: dict[str, Any], width: int = 100, height: int = 30, **more: Any) -> list[str]:
    """Return the picture as plain lines."""
    more = {"steer_by": "config/demo.yaml"} | more
    return [line.plain for line in picture(state, width, height, **more)]


def styled(state: dict[str, Any], words: str) -> str:
    """Return the styles of the words in the picture of a snapshot."""
    for line in picture(state, 100, 30, steer_by="x.yaml"):
        at = line.plain.find(words)
        if at >= 0:
            return " ".join(_styles(line, at))
    raise AssertionError(f"{words!r} is not shown")


def _styles(line: Text, at: int) -> list[str]:
    return [str(span.style) for span in line.spans if span.start <= at < span.end] + [str(line.style)]
