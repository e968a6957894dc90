"""When recorded frames count, and when a book is emptied: by the answers of a login, and by what was decided."""

import json
import struct
from typing import Any

import pytest

from bot.ctrader.schema import envelope, message
from bot.engine.events import SymbolsLoaded
from bot.market.delta import CLEAR_BOOK, DEPTH_BID, END_DEPTH, END_SPOT, SPOT_BID
from bot.research.recorded_frames import RecordedFrames
from bot.sim.listing import default_symbols

OURS, OTHER = 7, 8
EURUSD, USDJPY = default_symbols()[:2]
LOADED = SymbolsLoaded(0, (EURUSD, USDJPY), 2, {}, {})
FIRST_CLEARED = [(CLEAR_BOOK, 0), (CLEAR_BOOK, 1)]


def _frame(name: str, account: int = OURS, **fields: Any) -> bytes:
    return envelope(message(f"ProtoOA{name}")(ctidTraderAccountId=account, **fields))


def _spot(account: int = OURS, symbol_id: int = EURUSD.symbol_id) -> bytes:
    return _frame("SpotEvent", account, symbolId=symbol_id, bid=110_000)


def _depth(account: int = OURS, symbol_id: int = EURUSD.symbol_id) -> bytes:
    quote = {"id": 1, "size": 100, "bid": 110_000}
    return _frame("DepthEvent", account, symbolId=symbol_id, newQuotes=[quote])


def _decision(*requests: dict[str, Any]) -> bytes:
    return struct.pack("<qI", 0, 0) + json.dumps({"requests": requests}, separators=(",", ":")).encode()


def _said(frames: RecordedFrames, *bodies: bytes) -> list[tuple[int, int]]:
    """Return kind and symbol of the rows of one batch."""
    return [(int(r["kind"]), int(r["symbol"])) for _, rows in frames.batch(bodies, 5) for r in rows]


SPOT = [(SPOT_BID, 0), (END_SPOT, 0)]
DEPTH = [(DEPTH_BID, 0), (END_DEPTH, 0)]


def test_spots_count_from_the_reconciliation_of_a_login_and_depth_from_the_subscription_to_spots() -> None:
    frames = RecordedFrames(LOADED, OURS, is_ready=False)
    assert _said(frames, _spot(), _depth()) == []
    assert _said(frames, _frame("ReconcileRes", OTHER), _spot()) == []
    assert _said(frames, _frame("ReconcileRes"), _spot(), _depth()) == SPOT
    assert _said(frames, _frame("SubscribeSpotsRes", OTHER), _depth()) == []
    assert _said(frames, _frame("SubscribeSpotsRes"), _spot(), _depth()) == SPOT + DEPTH
    assert not frames.is_plain
    assert _said(frames, _spot(), _depth()) == SPOT + DEPTH
    assert frames.is_plain


@pytest.mark.parametrize(
    "end",
    [
        _frame("AccountDisconnectEvent"),
        _frame("AccountAuthRes"),
        envelope(message("ProtoOAAccountsTokenInvalidatedEvent")(ctidTraderAccountIds=[OTHER, OURS])),
    ],
)
def test_the_end_of_a_session_empties_every_book_until_the_next_login(end: bytes) -> None:
    frames = RecordedFrames(LOADED, OURS, is_ready=True)
    assert _said(frames, _depth(), end, _spot(), _depth()) == DEPTH + FIRST_CLEARED
    assert _said(frames, _frame("ReconcileRes"), _frame("SubscribeSpotsRes"), _depth()) == DEPTH


def test_the_end_of_the_connection_empties_every_book() -> None:
    frames = RecordedFrames(LOADED, OURS, is_ready=True)
    assert [(int(r["kind"]), int(r["symbol"])) for _, rows in frames.lost(5) for r in rows] == FIRST_CLEARED
    assert _said(frames, _spot(), _depth()) == []


@pytest.mark.parametrize(
    "end",
    [
        _frame("AccountDisconnectEvent", OTHER),
        _frame("AccountAuthRes", OTHER),
        envelope(message("ProtoOAAccountsTokenInvalidatedEvent")(ctidTraderAccountIds=[OTHER])),
        b"\xff not a frame",
        _frame("UnsubscribeDepthQuotesRes", OTHER),
    ],
)
def test_nothing_else_empties_a_book(end: bytes) -> None:
    assert _said(RecordedFrames(LOADED, OURS, is_ready=True), end, _spot(), _depth()) == SPOT + DEPTH


def test_a_renewed_subscription_empties_the_book_of_the_symbol_that_was_decided() -> None:
    frames = RecordedFrames(LOADED, OURS, is_ready=True)
    ended = _frame("UnsubscribeDepthQuotesRes")
    renewal = {"request": "ResubscribeDepth", "symbol_id": USDJPY.symbol_id}
    frames.decided(_decision({"request": "PlaceOrder", "symbol_id": EURUSD.symbol_id}, renewal, renewal))
    frames.decided(struct.pack("<qI", 0, 0))
    assert _said(frames, _depth()) == DEPTH
    assert _said(frames, _frame("UnsubscribeDepthQuotesRes", OTHER)) == []
    assert _said(frames, ended, _depth()) == [(CLEAR_BOOK, 1), *DEPTH]
    assert _said(frames, ended, ended, ended) == [(CLEAR_BOOK, 0), (CLEAR_BOOK, 1), (CLEAR_BOOK, 0)], "all, again"


def test_without_an_account_it_is_the_first_that_names_a_symbol_of_ours() -> None:
    frames = RecordedFrames(LOADED, None, is_ready=True)
    assert _said(frames, _spot(OTHER, symbol_id=999)) == []
    assert _said(frames, _spot(OURS), _spot(OTHER), _depth()) == SPOT + DEPTH


def test_a_recording_in_which_nothing_is_traded_has_no_book_to_empty() -> None:
    frames = RecordedFrames(SymbolsLoaded(0, (EURUSD,), 0, {}, {}), OURS, is_ready=True)
    assert _said(frames, _frame("UnsubscribeDepthQuotesRes")) == []
