"""Orders that the account's owner rests by hand at the embedded venue, and a bot that resizes them: `manage: all`."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from wired_bot import ACCOUNT, CLIENT, START, TOKEN, WiredBot, bot_config

from bot.app import replay_journal
from bot.net.fault_script import parse_script
from bot.sim.entities import AccountSettings, SimOrder
from bot.sim.market import open_market
from bot.sim.venue import Venue

LOT = 10_000_000
LATER_MS = START // 10**6 + 10**8
# Everything an owner can choose of an order, by type; the prices are far away, so that none fills.
TERMS: dict[str, dict[str, Any]] = {
    "limit": {
        "limitPrice": 1.05, "stopLoss": 1.04, "takeProfit": 1.2, "timeInForce": 1, "expirationTimestamp": LATER_MS,
        "comment": "by hand",
    },
    "stop": {
        "stopPrice": 1.15, "relativeStopLoss": 500, "relativeTakeProfit": 900, "trailingStopLoss": True,
        "stopTriggerMethod": 2,
    },
    "stop_limit": {"stopPrice": 1.15, "slippageInPoints": 7, "stopLoss": 1.1, "label": "another bot"},
}  # fmt: skip


class Coarse(WiredBot):
    """A bot whose clock moves in larger steps: nothing here depends on milliseconds."""

    def let(self, seconds: float, step_s: float = 1 / 16) -> "Coarse":
        super().let(seconds, step_s)
        return self

    def until(self, condition: Callable[[], Any], limit_s: float = 60, step_s: float = 1 / 16) -> "Coarse":
        super().until(condition, limit_s, step_s)
        return self


def following_bot(folder: Path, venue: Venue, *, trade: bool = True, **changes: Any) -> WiredBot:
    wanted: dict[str, Any] = {"symbols": {"EURUSD": {"direction": "follow"}}, "manage": "all"}
    clock = changes.pop("clock", None)
    run_id, seconds = changes.pop("run_id", "run1"), changes.pop("seconds", None)
    config = bot_config(folder, trade=trade, **(wanted | changes))
    return Coarse(folder, config, venue, seconds=seconds, run_id=run_id, clock=clock).start()


def eurusd(venue: Venue) -> int:
    return next(spec.symbol_id for spec in venue.catalogue.specs.values() if spec.name == "EURUSD")


def rest(venue: Venue, order_type: str = "limit", side: str = "buy", volume: int = LOT, **fields: Any) -> int:
    return venue.rest_by_hand(ACCOUNT, eurusd(venue), order_type, side, volume, **(fields or TERMS[order_type]))


def order(venue: Venue, order_id: int) -> SimOrder:
    return venue.desks[ACCOUNT].account.orders[order_id]


def given(found: SimOrder) -> dict[str, Any]:
    """Return everything of an order that its owner gave it, but the volume."""
    names = (
        "order_type is_buy limit_price stop_price slippage_points stop_loss take_profit relative_stop_loss_e5 "
        "relative_take_profit_e5 trailing time_in_force trigger_method expires_ns label comment client_order_id"
    )
    return {name: getattr(found, name) for name in names.split()}


def planned(bot: WiredBot) -> list[tuple[str, str, int]]:
    return [(o.action, o.order_type, o.volume_cents) for d in bot.decisions for o in d.intended]


def ended_well(bot: WiredBot) -> bool:
    bot.let(20)
    return bot.result is not None and bot.result.exit_code == 0 and replay_journal(bot.journal_path).difference is None


def faulty_venue(script: str, account_type: str = "hedged", seed: int = 3) -> Venue:
    market = open_market("synthetic:calm", seed=3, start_ns=START, speed=1.0)
    return Venue(
        market,
        accounts=[AccountSettings(ACCOUNT, account_type, "USD", Decimal(10_000))],
        client_id=CLIENT.client_id,
        client_secret=CLIENT.client_secret,
        access_token=TOKEN.access_token,
        refresh_token=str(TOKEN.refresh_token),
        start_ns=START,
        faults=parse_script(script, "a script", [spec.name for spec in market.specs]),
        seed=seed,
    )


NO_AMENDS = """
faults:
  - on_request: ProtoOAAmendOrderReq
    times: 100
    reject: {shape: order_error, code: %s}
"""
