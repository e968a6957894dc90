"""Market data as frames, ready to send."""

from collections.abc import Iterable, Sequence
from typing import Any

from bot.ctrader.framing import frame
from bot.ctrader.schema import envelope, message
from bot.sim.change import Quote


def spot_frame(
    account_id: int, symbol_id: int, bid_e5: int | None, ask_e5: int | None, time_ms: int | None, bars: Sequence[Any]
) -> bytes:
    """Return a framed ProtoOASpotEvent with the sides that changed."""
    event = message("ProtoOASpotEvent")(
        ctidTraderAccountId=account_id, symbolId=symbol_id, bid=bid_e5, ask=ask_e5, timestamp=time_ms, trendbar=bars
    )
    return frame(envelope(event))


def depth_frame(account_id: int, symbol_id: int, new: Iterable[Quote], deleted: Sequence[int]) -> bytes:
    """Return a framed ProtoOADepthEvent."""
    event = message("ProtoOADepthEvent")(ctidTraderAccountId=account_id, symbolId=symbol_id, deletedQuotes=deleted)
    quotes = event.newQuotes
    for quote_id, is_bid, price_e5, size_cents in new:
        if is_bid:
            quotes.add(id=quote_id, size=size_cents, bid=price_e5)
        else:
            quotes.add(id=quote_id, size=size_cents, ask=price_e5)
    return frame(envelope(event))
