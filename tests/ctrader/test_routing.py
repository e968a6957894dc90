"""Each frame of a shared connection goes to the account it is for, to whoever asked, or to everybody."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_venue import ACCOUNT, build
from test_decoder_fuzz import damaged

from bot.ctrader.hotpath import HotPath
from bot.ctrader.routing import recipients, share_out
from bot.ctrader.schema import envelope


@dataclass
class Member:
    run_id: str
    account_id: int | None


HOT_PATH = HotPath()
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
    body = envelope(content, message_id)
    assert recipients(body, MEMBERS) == expected
    assert share_out([body], MEMBERS, HOT_PATH) == [[body] if i in expected else [] for i in range(3)]


@pytest.mark.parametrize("body", [b"\xff", b"", envelope(build("ProtoHeartbeatEvent")) + b"\x12\x80"])
def test_what_cannot_be_read_is_for_everybody(body: bytes) -> None:
    assert recipients(body, MEMBERS) == [0, 1, 2]


numbers = st.integers(0, 2**64 - 1)
contents = st.builds(
    lambda account_id, fields: build(fields[0], ctidTraderAccountId=account_id, **fields[1]),
    st.sampled_from([1, 2, 3, 0, -1]),
    st.one_of(
        numbers.map(lambda bid: ("SpotEvent", {"symbolId": 7, "bid": bid})),
        st.lists(numbers, max_size=4).map(lambda gone: ("DepthEvent", {"symbolId": 7, "deletedQuotes": gone})),
        st.just(("AccountDisconnectEvent", {})),
    ),
)
bodies = st.one_of(st.builds(envelope, contents, st.sampled_from([None, None, "a-1", "c-1"])), damaged())


@given(st.lists(bodies, max_size=8))
@settings(max_examples=100)
def test_a_batch_is_shared_out_as_its_frames_are_one_by_one(batch: list[bytes]) -> None:
    members = [Member("a", 1), Member("ab", 2), Member("c", None), Member("d", 1), Member("e", ACCOUNT), Member("f", 0)]
    expected = [[body for body in batch if i in recipients(body, members)] for i in range(len(members))]
    assert share_out(batch, members, HOT_PATH) == expected


def test_the_account_of_plain_market_data_needs_no_general_reading() -> None:
    spot = envelope(build("SpotEvent", ctidTraderAccountId=2, symbolId=9, bid=1))
    assert HOT_PATH.accounts([spot, b"", envelope(build("ProtoHeartbeatEvent")), spot]) == [2, 0, 0, 2]


@pytest.mark.parametrize(
    "content",
    [
        build("SpotEvent", ctidTraderAccountId=2, symbolId=300, ask=7, timestamp=1),
        build(
            "DepthEvent",
            ctidTraderAccountId=2,
            symbolId=1,
            newQuotes=[build("DepthQuote", id=300, size=5)],
            deletedQuotes=[4],
        ),
    ],
)
def test_a_damaged_frame_is_shared_out_as_what_can_still_be_read_of_it(content) -> None:
    body = envelope(content)
    batch = [body[:at] + bytes([byte]) + body[at + 1 :] for at in range(len(body)) for byte in range(256)]
    batch += [body[:at] + body[end:] for at in range(len(body)) for end in range(at + 1, len(body) + 1)]
    expected = [[damaged for damaged in batch if i in recipients(damaged, MEMBERS)] for i in range(3)]
    assert share_out(batch, MEMBERS, HOT_PATH) == expected
    assert expected[0], "what cannot be read is for everybody"
