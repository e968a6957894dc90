"""Each frame of a shared connection goes to the account it is for, to whoever asked, or to everybody."""

from dataclasses import dataclass

import pytest
from scripted_venue import build

from bot.ctrader.routing import recipients
from bot.ctrader.schema import envelope


@dataclass
class Member:
    run_id: str
    account_id: int | None


MEMBERS = [Member("a", 1), Member("ab", 2), Member("c", None)]


@pytest.mark.parametrize(
    ("content", "message_id", "expected"),
    [
        (build("AccountAuthRes", ctidTraderAccountId=1), "a-7", [0]),
        (build("AccountAuthRes", ctidTraderAccountId=1), "ab-7", [1]),
        (build("ErrorRes", errorCode="CH_ACCESS_TOKEN_INVALID", ctidTraderAccountId=2), "c-1", [2]),
        (build("ProtoErrorRes", errorCode="TIMEOUT_ERROR"), "ab-1", [1]),
        (build("SpotEvent", ctidTraderAccountId=2, symbolId=1, bid=1), None, [1]),
        (build("DepthEvent", ctidTraderAccountId=1, symbolId=1), None, [0]),
        (build("ExecutionEvent", ctidTraderAccountId=1, executionType=2), "not-ours-1", [0]),
        (build("AccountDisconnectEvent", ctidTraderAccountId=2), None, [1]),
        (build("SpotEvent", ctidTraderAccountId=9, symbolId=1, bid=1), None, []),
        (build("AccountsTokenInvalidatedEvent", ctidTraderAccountIds=[1]), None, [0, 1, 2]),
        (build("ClientDisconnectEvent"), None, [0, 1, 2]),
        (build("ProtoHeartbeatEvent"), None, [0, 1, 2]),
        (build("ProtoErrorRes", errorCode="SERVER_IS_UNDER_MAINTENANCE"), None, [0, 1, 2]),
    ],
)
def test_a_frame_goes_where_it_belongs(content, message_id: str | None, expected: list[int]) -> None:
    assert recipients(envelope(content, message_id), MEMBERS) == expected


@pytest.mark.parametrize("body", [b"\xff", b"", envelope(build("ProtoHeartbeatEvent")) + b"\x12\x80"])
def test_what_cannot_be_read_is_for_everybody(body: bytes) -> None:
    assert recipients(body, MEMBERS) == [0, 1, 2]
