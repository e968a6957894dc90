"""Positions that the venue's lists say are open and its reconcile, of a moment before, does not have."""

import math

from bot.account.portfolio import Portfolio
from bot.engine.events import OrderHistoryListed


def lagging_positions(event: OrderHistoryListed, portfolio: Portfolio) -> frozenset[int]:
    """Return the positions that the lists say are open, by orders and deals of their time, and that we do not hold.

    The reconcile that came just before was then taken earlier than the lists: neither can be believed yet. A position
    whose deals cancel out, or are more than undone by the other side, has been closed since and lags nowhere.
    """
    side = {order.order_id: math.copysign(1, order.volume_cents) for order in event.orders if not order.closing}
    volumes: dict[int, int] = {}
    opened: dict[int, float] = {}
    for deal in event.deals:
        volumes[deal.position_id] = volumes.get(deal.position_id, 0) + deal.volume_cents
        if deal.order_id in side:
            opened[deal.position_id] = side[deal.order_id]
    return frozenset(pid for pid, way in opened.items() if volumes[pid] * way > 0 and portfolio.position(pid) is None)
