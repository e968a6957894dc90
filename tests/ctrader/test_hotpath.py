"""The compiled reader against the general one: whatever a batch holds, the session ends where single frames take it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import wire_reader as wire
from collecting_sink import CollectingSink
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scripted_venue import ACCOUNT, START, account_list, build, error, plan, ready_venue
from standing import FOREIGN, foreign, standstill
from test_decoder_fuzz import DEPTH, INT64_MAX, SPOT, damaged, enveloped, frames, numbers
from test_session_meets_venue import Wire, of, order
from test_translate import wire_deal, wire_order, wire_position

from bot.ctrader import hotpath
from bot.ctrader.hotpath import ROOM_ROWS, HotPath, field_tag, pour_frame, pour_frames
from bot.ctrader.inbound import read_frame
from bot.ctrader.market_feed import MarketFeed
from bot.ctrader.phases import Phase
from bot.ctrader.redact import redact_frame, redact_frames
from bot.ctrader.schema import envelope, message
from bot.ctrader.session import Session
from bot.ctrader.token import TokenStep
from bot.engine.events import Event, ExecutionReported, MarketDataChanged
from bot.market.delta import DELTA, DEPTH_DELETE, END_DEPTH, END_SPOT, SPOT_ASK, SPOT_BID

KNOWN = [11, 12]  # the symbols of a ready session: EURUSD and USDJPY
INDEX = {11: 0, 12: 1, 13: 2}
HOT_PATH = HotPath()
HOT_PATH.learn(INDEX)
SINK = CollectingSink()


# What is compared.


def told(events: Sequence[Event]) -> list[Any]:
    """Return events so that they can be compared; rows as bytes."""
    return [(e.recv_ns, e.rows.tobytes()) if isinstance(e, MarketDataChanged) else e for e in events]


def whole(told_events: Sequence[Any]) -> list[Any]:
    """Return the same with neighbouring rows of one time in one piece."""
    joined: list[Any] = []
    for event in told_events:
        before = joined[-1] if joined else None
        if isinstance(event, tuple) and isinstance(before, tuple) and before[0] == event[0]:
            joined[-1] = (event[0], before[1] + event[1])
        else:
            joined.append(event)
    return joined


def standing(session: Session, now_ns: int) -> dict[str, Any]:
    """Return everything about a session that a frame may change, and what it has to say."""
    return {
        "events": told(session.events()),
        "counters": {name: count for name, count in session.counters.items() if count},
        "phase": session.phase,
        "fatal": session.fatal,
        "wants_disconnect": session.wants_disconnect,
        "malformed_in_a_row": session._intake.malformed_in_a_row,
        "waiting": [r.message_id for r in session.requests._pending.values()],
        "outcomes": session.requests.outcomes,
        "token": session.token.need,
        "heard_ns": session._outbox.heard_ns,
        "sent": session.data_to_send(now_ns),
        "due_ns": session.next_timeout_ns(),
    }


def agree(batched: Session, single: Session, batches: Sequence[Sequence[bytes]], now_ns: int = START) -> None:
    """Give one session batches and the other their frames; they must stand at the same place after each of them."""
    for batch in batches:
        now_ns += 1
        is_poured = batched.pour(batch, now_ns, SINK.sink)
        if not is_poured:
            batched.receive_frames(batch, now_ns)
        for body in batch:
            single.receive_frame(body, now_ns)
        found = standing(batched, now_ns)
        poured = SINK.take()
        assert poured == (0, b"") or is_poured
        if is_poured:
            assert found["events"] == [], "what was poured is not told once more"
            found["events"] = [poured] if poured[1] else []
        assert found == standing(single, now_ns), [body.hex() for body in batch]
        assert redact_frames(batch, batched.loud_frames) == [redact_frame(body) for body in batch]


def quick(body: bytes) -> tuple[np.ndarray, int] | None:
    """Read one frame the compiled way: rows and bad quotes; None when it is not plain."""
    at, start, rows, bad, is_loud = HOT_PATH.read(*HOT_PATH.join([body]), 0, 0, ACCOUNT)
    assert (at, start) == ((0, 0) if is_loud else (1, len(body)))
    assert rows == b"" or not is_loud
    left = pour_frame(body, ACCOUNT, 7, HOT_PATH.lane, SINK.sink.function, SINK.sink.context)
    assert (left, SINK.take()) == ((-1, (0, b"")) if is_loud or bad else (0, (7, rows)))
    return None if is_loud else (np.frombuffer(rows, DELTA), bad)


def thorough(body: bytes) -> tuple[list[Any], Counter[str]]:
    """Read one frame of market data the general way: rows and counters."""
    counters: Counter[str] = Counter()
    feed = MarketFeed(counters)
    feed.index = dict(INDEX)
    number, content, _ = read_frame(body)
    (feed.spot if number == SPOT else feed.depth)(content, ACCOUNT, 7)
    return [row for event in feed.take() for row in event.rows.tolist()], counters


def compare(body: bytes) -> bool:
    """Compare the two ways for one frame; return whether it is plain."""
    read = quick(body)
    if read is None:
        return False
    rows, bad = read
    assert (rows.tolist(), Counter(bad_quotes=bad)) == thorough(body), body.hex()
    assert read_frame(body)[2] == "" and redact_frame(body) is body
    assert len(rows) <= len(body), "the buffer holds a row for each byte"
    assert HOT_PATH.accounts([body]) == [ACCOUNT]
    return True


# Events as a venue writes them.

ids = st.one_of(numbers, st.integers(10**9, 10**9 + 50))
quotes = st.builds(
    lambda quote_id, size, sides: build("DepthQuote", id=quote_id, size=size, **sides),
    ids,
    st.one_of(numbers, st.integers(1, 10**12)),
    st.one_of(
        st.builds(lambda price: {"bid": price}, numbers),
        st.builds(lambda price: {"ask": price}, numbers),
        st.just({}),
        st.builds(lambda bid, ask: {"bid": bid, "ask": ask}, numbers, numbers),
    ),
)


def stated(kind: str) -> st.SearchStrategy[dict[str, int]]:
    """Build the payload type inside the payload, there or not."""
    return st.sampled_from([{}, {"payloadType": {"SpotEvent": SPOT, "DepthEvent": DEPTH}[kind]}])


def market_data(symbols: Sequence[int], accounts: Sequence[int]) -> st.SearchStrategy[Any]:
    """Build spot and depth events of these symbols and accounts, of every shape but trendbars."""
    head = st.fixed_dictionaries(
        {"symbolId": st.sampled_from(symbols), "ctidTraderAccountId": st.sampled_from(accounts)}
    )
    times = st.fixed_dictionaries({}, optional={"sessionClose": numbers, "timestamp": st.integers(-5, INT64_MAX)})
    spots = st.builds(
        lambda head, number, sides, rest: build("SpotEvent", **head, **number, **sides, **rest),
        head,
        stated("SpotEvent"),
        st.fixed_dictionaries({}, optional={"bid": numbers, "ask": numbers}),
        times,
    )
    depths = st.builds(
        lambda head, number, new, gone: build("DepthEvent", **head, **number, newQuotes=new, deletedQuotes=gone),
        head,
        stated("DepthEvent"),
        st.lists(quotes, max_size=6),
        st.lists(ids, max_size=6),
    )
    return st.one_of(spots, depths)


@given(market_data([11, 12, 13], [ACCOUNT]))
@settings(max_examples=120)
@example(build("DepthEvent", symbolId=11))
@example(build("DepthEvent", symbolId=13, newQuotes=[build("DepthQuote", id=2**64 - 1, size=INT64_MAX, ask=INT64_MAX)]))
@example(build("DepthEvent", symbolId=11, newQuotes=[build("DepthQuote", id=1, size=INT64_MAX + 1, bid=1)]))
@example(build("DepthEvent", symbolId=11, newQuotes=[build("DepthQuote", id=1, size=1, bid=INT64_MAX + 1)]))
@example(build("SpotEvent", symbolId=11, bid=0, ask=2**64 - 1))
def test_every_event_that_a_venue_writes_is_plain_and_makes_the_rows_of_the_general_way(content: Any) -> None:
    assert compare(envelope(content))


def test_deletions_come_before_new_quotes_and_the_end_comes_last() -> None:
    new = [build("DepthQuote", id=5, size=700, bid=110_000), build("DepthQuote", id=6, size=800, ask=110_002)]
    read = quick(envelope(build("DepthEvent", symbolId=12, newQuotes=new, deletedQuotes=[3, 2**63])))
    assert read is not None
    assert read[0].tolist() == [
        (2, 1, 3, 0, 0),
        (2, 1, 2**63, 0, 0),
        (3, 1, 5, 110_000, 700),
        (4, 1, 6, 110_002, 800),
        (6, 1, 0, 0, 0),
    ]


# What is not plain.

HEAD = wire.scalar(2, ACCOUNT) + wire.scalar(3, 11)
BID = wire.scalar(4, 110_000)
QUOTE = wire.scalar(1, 5) + wire.scalar(3, 700) + wire.scalar(4, 110_000)
GONE = wire.block(5, b"\x03\x04")
MANY_BYTES = b"\xf0\xa2\x84\x00"  # a number with a byte more than it needs


@pytest.mark.parametrize(
    ("number", "payload"),
    [
        (SPOT, HEAD + BID + BID),
        (SPOT, HEAD + wire.scalar(5, 7) + BID),
        (SPOT, wire.scalar(3, 11) + wire.scalar(2, ACCOUNT) + BID),
        (SPOT, wire.scalar(1, DEPTH) + HEAD + BID),
        (SPOT, wire.scalar(2, ACCOUNT) + BID),
        (SPOT, wire.scalar(3, 11) + BID),
        (SPOT, wire.scalar(2, FOREIGN) + wire.scalar(3, 11) + BID),
        (SPOT, wire.scalar(2, ACCOUNT) + wire.scalar(3, 99) + BID),
        (SPOT, wire.scalar(2, ACCOUNT) + wire.scalar(3, -1) + BID),
        (SPOT, HEAD + BID + wire.block(6, wire.scalar(3, 1))),
        (SPOT, HEAD + BID + wire.scalar(9, 1)),
        (SPOT, HEAD + BID + wire.scalar(100, 1)),
        (SPOT, HEAD + wire.tag(4, wire.FIXED64) + bytes(8)),
        (SPOT, HEAD + wire.tag(4, wire.START) + wire.tag(4, wire.END)),
        (SPOT, HEAD + wire.tag(4, wire.VARINT) + MANY_BYTES),
        (SPOT, HEAD + wire.tag(4, wire.VARINT) + b"\xff" * 9 + b"\x03"),
        (SPOT, HEAD + wire.tag(4, wire.VARINT) + b"\xff" * 10 + b"\x01"),
        (SPOT, HEAD + wire.tag(4, wire.VARINT) + b"\xff"),
        (DEPTH, HEAD + GONE + wire.block(4, QUOTE)),
        (DEPTH, HEAD + GONE + GONE),
        (DEPTH, HEAD + wire.scalar(5, 3)),
        (DEPTH, HEAD + wire.block(5, b"\x03\x80")),
        (DEPTH, HEAD + wire.block(5, b"\x83\x00")),
        (DEPTH, HEAD + wire.block(4, QUOTE) + wire.tag(4, wire.LENGTH) + b"\x7f"),
        (DEPTH, HEAD + wire.tag(4, wire.LENGTH) + wire.varint(-1)),
        (DEPTH, HEAD + wire.block(4, QUOTE + wire.scalar(5, 1) + wire.scalar(5, 2))),
        (DEPTH, HEAD + wire.block(4, wire.scalar(3, 700) + wire.scalar(1, 5))),
        (DEPTH, HEAD + wire.block(4, QUOTE + wire.scalar(2, 1))),
        (DEPTH, HEAD + wire.block(4, QUOTE[:-1])),
        (DEPTH, HEAD + wire.block(4, QUOTE) + wire.scalar(6, 1)),
    ],
)
def test_what_no_serializer_writes_is_left_to_the_general_way(number: int, payload: bytes) -> None:
    body = enveloped(number, payload, None)
    assert quick(body) is None
    agree(ready_venue().session, ready_venue().session, [[body]])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        enveloped(SPOT, HEAD + BID, "r1-3"),
        enveloped(SPOT, HEAD + BID, ""),
        wire.block(2, HEAD + BID) + wire.scalar(1, SPOT),
        wire.scalar(1, SPOT) + enveloped(SPOT, HEAD + BID, None),
        enveloped(SPOT, HEAD + BID, None) + wire.scalar(1, 2150),
        enveloped(SPOT, HEAD + BID, None) + wire.block(2, b""),
        enveloped(SPOT, HEAD + BID, None)[:-1],
        wire.scalar(1, SPOT),
        wire.block(2, HEAD + BID),
        enveloped(2126, HEAD + BID, None),
        enveloped(SPOT + 2**32, HEAD + BID, None),
        envelope(account_list()),
    ],
)
def test_a_frame_around_anything_but_one_payload_is_left_to_the_general_way(body: bytes) -> None:
    assert quick(body) is None
    agree(ready_venue().session, ready_venue().session, [[body]])


def test_a_symbol_whose_number_is_negative_is_not_taken_for_a_very_large_one() -> None:
    hot_path = HotPath()
    hot_path.learn({-1: 0, 0: 1, 5: 2})
    for symbol_id, is_known in ((-1, False), (0, False), (5, True), (4, False), (6, False)):
        body = enveloped(DEPTH, wire.scalar(2, ACCOUNT) + wire.scalar(3, symbol_id) + GONE, None)
        assert hot_path.read(*hot_path.join([body]), 0, 0, ACCOUNT)[0] == is_known


@given(st.dictionaries(st.integers(1, 60), st.integers(0, 2**31 - 1), max_size=20), st.integers(0, 61))
def test_every_known_symbol_is_found_under_its_index_and_no_other_is(index: dict[int, int], symbol_id: int) -> None:
    hot_path = HotPath()
    hot_path.learn(index)
    body = enveloped(SPOT, wire.scalar(2, ACCOUNT) + wire.scalar(3, symbol_id), None)
    at, _, rows, _, _ = hot_path.read(*hot_path.join([body]), 0, 0, ACCOUNT)
    assert [int(row["symbol"]) for row in np.frombuffer(rows, DELTA)] == [index[i] for i in [symbol_id] if i in index]
    assert at == (symbol_id in index)


def whole_events() -> list[bytes]:
    """Return a frame of each kind with everything in it, so that each of its bytes says something."""
    new = [build("DepthQuote", id=300, size=5, bid=9), build("DepthQuote", id=2, size=200, ask=2**63)]
    depth = build("DepthEvent", payloadType=DEPTH, symbolId=11, newQuotes=new, deletedQuotes=[4, 300])
    spot = build("SpotEvent", payloadType=SPOT, symbolId=12, bid=130, ask=2**64 - 1, sessionClose=1, timestamp=-1)
    return [envelope(depth), envelope(spot)]


@pytest.mark.parametrize("body", whole_events(), ids=["depth", "spot"])
def test_a_frame_with_any_byte_changed_removed_or_put_in_is_read_the_same_or_left_alone(body: bytes) -> None:
    assert compare(body)
    plain_count = 0
    for at in range(len(body) + 1):
        for byte in range(256):
            plain_count += compare(body[:at] + bytes([byte]) + body[at + 1 :])
            plain_count += compare(body[:at] + bytes([byte]) + body[at:])
        for end in range(at + 1, len(body) + 1):
            plain_count += compare(body[:at] + body[end:])
    assert plain_count > 1_000, "a number that was changed is a number all the same"


# Whole sessions.

others = st.one_of(
    st.builds(lambda: envelope(message("ProtoHeartbeatEvent")())),
    st.builds(
        lambda kind, quote: envelope(
            build("ExecutionEvent", executionType=kind, order=wire_order(), deal=wire_deal(), position=wire_position())
        ),
        st.sampled_from([2, 3]),
        numbers,
    ),
    st.sampled_from(
        [
            envelope(foreign("AccountDisconnectEvent")),
            envelope(build("MarginChangedEvent", positionId=5, usedMargin=7, moneyDigits=2)),
            envelope(build("SymbolChangedEvent", symbolId=[11])),
            envelope(error("UNKNOWN_CODE")),
            envelope(account_list()),
            b"\x08\xd0\x0f",
            b"HTTP/1.1 400",
            b"\xff",
            b"",
        ]
    ),
)
endings = st.sampled_from(
    [
        envelope(build("AccountDisconnectEvent")),
        envelope(build("ClientDisconnectEvent", reason="over")),
        envelope(build("AccountsTokenInvalidatedEvent", ctidTraderAccountIds=[ACCOUNT])),
        envelope(error("CH_ACCESS_TOKEN_INVALID")),
    ]
)
with_trendbar = st.builds(
    lambda bar: envelope(build("SpotEvent", symbolId=11, bid=5, trendbar=[build("Trendbar", volume=bar)])),
    st.integers(0, 9),
)
any_frames = st.one_of(
    *[market_data(KNOWN, [ACCOUNT]).map(envelope)] * 6,
    market_data([11, 13, 99], [ACCOUNT, FOREIGN]).map(envelope),
    market_data(KNOWN, [ACCOUNT]).map(lambda content: envelope(content, "r1-1")),
    with_trendbar,
    others,
    frames,
    damaged(),
    endings,
)


@given(st.lists(st.lists(any_frames, max_size=12), max_size=4))
@settings(max_examples=60)
def test_a_batch_of_anything_leads_where_its_frames_lead_one_by_one(batches: list[list[bytes]]) -> None:
    agree(ready_venue().session, ready_venue().session, batches)


@pytest.mark.slow
@given(st.lists(st.lists(any_frames, max_size=20), max_size=6))
@settings(max_examples=3_000)
def test_many_more_batches_of_anything_lead_where_their_frames_lead(batches: list[list[bytes]]) -> None:
    agree(ready_venue().session, ready_venue().session, batches)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("is_over", [False, True])
def test_in_every_phase_a_batch_leads_where_its_frames_lead(phase: Phase, is_over: bool) -> None:
    batched, single = standstill(phase)[0].session, standstill(phase)[0].session
    last = [envelope(build("ClientDisconnectEvent", reason="over"))] if is_over else []
    spot, depth = envelope(build("SpotEvent", symbolId=11, bid=5)), envelope(build("DepthEvent", symbolId=12))
    agree(batched, single, [[b"\xff"], [spot, depth, *last, depth, spot], [depth], [spot]])


def test_while_a_renewal_is_awaited_on_a_link_given_up_market_data_is_dropped() -> None:
    def given_up() -> tuple[Session, str]:
        venue = ready_venue(renewable=True, refresh_token="the-refresh-token", token_expires_ns=START + 10**18)
        venue.session.token_step(TokenStep(venue.now_ns, "renew"))
        ((_, message_id, _),) = venue.take()
        venue.tell(build("ClientDisconnectEvent", reason="over"))
        assert venue.session.is_renewing_token
        return venue.session, message_id

    (batched, message_id), (single, _) = given_up(), given_up()
    renewed = build("RefreshTokenRes", accessToken="a", tokenType="b", expiresIn=9, refreshToken="r")
    spot = envelope(build("SpotEvent", symbolId=11, bid=5))
    agree(batched, single, [[spot], [spot, envelope(renewed, message_id), spot]])
    assert not batched.is_renewing_token


def test_market_data_around_other_events_keeps_its_place() -> None:
    venue = ready_venue()
    spot = envelope(build("SpotEvent", symbolId=11, bid=5))
    loud = envelope(build("SpotEvent", symbolId=11, bid=5), "an id")
    fill = envelope(build("ExecutionEvent", executionType=3, order=wire_order(), deal=wire_deal()))
    venue.session.receive_frames([spot, loud, spot, fill, spot, spot], venue.now_ns)
    assert venue.session.loud_frames == [1, 3]
    events = venue.told()
    assert [type(e) for e in events] == [MarketDataChanged, ExecutionReported, MarketDataChanged]
    assert [len(e.rows) for e in of(MarketDataChanged, events)] == [6, 4], "the loud one stands among its neighbours"


def test_a_batch_larger_than_the_buffer_is_read_whole_and_a_frame_that_large_is_left_alone() -> None:
    gone = [list(range(i, i + ROOM_ROWS // 5)) for i in range(1, 12)]
    batch = [envelope(build("DepthEvent", symbolId=11, deletedQuotes=quote_ids)) for quote_ids in gone]
    huge = envelope(build("DepthEvent", symbolId=11, deletedQuotes=[1] * ROOM_ROWS))
    agree(ready_venue().session, ready_venue().session, [batch, [huge], [*batch, huge, *batch]])
    session = ready_venue().session
    session.receive_frames([*batch, huge], START)
    assert session.loud_frames == [11]
    (event,) = session.events()
    assert isinstance(event, MarketDataChanged)
    rows = event.rows[: len(batch) * (ROOM_ROWS // 5 + 1)]
    assert rows[rows["kind"] == DEPTH_DELETE]["quote_id"].tolist() == [i for quote_ids in gone for i in quote_ids]
    assert np.count_nonzero(rows["kind"] == END_DEPTH) == 11


def test_rows_that_were_handed_out_are_never_written_again() -> None:
    venue = ready_venue()
    kept = []
    for price in range(1, 4):
        venue.session.receive_frames([envelope(build("SpotEvent", symbolId=11, bid=price))], START + price)
        (event,) = venue.session.events()
        assert isinstance(event, MarketDataChanged)
        with pytest.raises(ValueError, match="read-only"):
            event.rows["price_e5"] = 7
        kept.append(event)
    assert [(e.recv_ns - START, int(e.rows["price_e5"][0])) for e in kept] == [(1, 1), (2, 2), (3, 3)]


def test_a_frame_is_poured_only_when_nothing_waits_to_be_told_and_what_finds_no_room_is_handed_over() -> None:
    session, spot = ready_venue().session, envelope(build("SpotEvent", symbolId=11, bid=5, ask=6))
    session.events()
    session.receive_frames([spot], START)
    assert not session.pour([spot], START + 1, SINK.sink), "the rows of the frame before have not been told"
    session.events()
    messages = session.counters["messages"]
    small = CollectingSink(room=1)
    assert session.pour([spot], START + 2, small.sink)
    assert session.counters["messages"] == messages + 1 and session.loud_frames == ()
    taken = np.frombuffer(small.take()[1], DELTA)
    assert [*taken["kind"], *small.rest[0]["kind"]] == [SPOT_BID, SPOT_ASK, END_SPOT]
    assert session.pour([spot], START + 3, SINK.sink) and SINK.take()[0] == START + 3
    assert session.events() == [], "nothing that was poured is told"
    session.receive_frame(spot, START + 4)
    assert not session.pour([spot], START + 5, SINK.sink), "nor is anything poured past what a single frame told"


def test_a_link_that_is_given_up_pours_nothing() -> None:
    session, spot = ready_venue().session, envelope(build("SpotEvent", symbolId=11, bid=5))
    session.events()
    session.connection_lost(START, "cut")
    session.events()
    assert not session.pour([spot], START + 1, SINK.sink)
    assert SINK.take() == (0, b"")


def test_nothing_received_is_a_batch_like_any_other() -> None:
    agree(ready_venue().session, ready_venue().session, [[], [envelope(build("SpotEvent", symbolId=11, bid=5))], []])


class TwinWire(Wire):
    """The embedded venue with two sessions: one takes batches, the other the same frames one by one."""

    def __init__(self, seed: int) -> None:
        self.twin = Session(plan(environment="simulator"))
        self.random = np.random.default_rng(seed)
        self.quiet_count = 0
        self.poured: list[tuple[int, bytes]] = []
        super().__init__()

    def connect(self) -> None:
        super().connect()
        self.twin.connection_made(self.now_ns)

    def run(self, seconds: float) -> list[Event]:
        """Let time pass; after each batch the two must stand at the same place."""
        events: list[Event] = []
        for _ in range(round(seconds * 100)):
            sent = self.session.data_to_send(self.now_ns)
            assert self.twin.data_to_send(self.now_ns) == sent
            self.link.receive(b"".join(sent), self.now_ns)
            self.venue.advance(self.now_ns)
            waiting = self.reader.receive(self.link.data_to_send())
            while waiting:
                count = int(self.random.integers(1, 9))
                batch, waiting = waiting[:count], waiting[count:]
                if self.random.random() < 0.2:
                    batch.insert(0, envelope(message("ProtoHeartbeatEvent")()))
                if self.session.pour(batch, self.now_ns, SINK.sink):
                    self.poured.append(SINK.take())
                else:
                    self.session.receive_frames(batch, self.now_ns)
                for body in batch:
                    self.twin.receive_frame(body, self.now_ns)
                if self.session.ready:
                    loud = [read_frame(batch[i])[0] for i in self.session.loud_frames]
                    assert not {SPOT, DEPTH} & set(loud), "the venue writes as every serializer does"
                    self.quiet_count += len(batch) - len(loud)
                if self.random.random() < 0.5:
                    events += self.compare()
            for session in (self.session, self.twin):
                session.handle_timeout(self.now_ns)
            events += self.compare()
            self.now_ns += 10_000_000
        return events

    def compare(self) -> list[Event]:
        """Compare the two, and return what the first one told."""
        mine, other = self.session.events(), self.twin.events()
        # Whatever was poured came before what waits now.
        poured, self.poured = self.poured, []
        assert whole(poured + told(mine)) == whole(told(other))
        assert +self.session.counters == +self.twin.counters
        assert self.session.phase is self.twin.phase
        return mine

    def submit(self, request: Any) -> None:
        """Have both ask for the same."""
        for session in (self.session, self.twin):
            session.submit(request, self.now_ns)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_embedded_venue_is_read_alike_in_batches_and_frame_by_frame(seed: int) -> None:
    twins = TwinWire(seed)
    twins.run(20)
    eurusd = twins.session._walk.handshake.catalogue.traded_ids[1]
    for number in range(4):
        twins.submit(order(f"open-{number}", symbol_id=eurusd))
        assert of(ExecutionReported, twins.run(0.3))
    assert twins.quiet_count > 400
    twins.session.connection_lost(twins.now_ns, "cut")
    twins.twin.connection_lost(twins.now_ns, "cut")
    twins.connect()
    assert of(MarketDataChanged, twins.run(2)) and twins.session.ready


def test_one_compiled_form_reads_everything_so_that_none_is_compiled_while_prices_wait() -> None:
    session = ready_venue().session
    session.receive_frames([], START)
    session.receive_frames(whole_events()[:1], START)
    session.receive_frames([*whole_events(), b"\xff", *whole_events()], START)
    hot_path = HotPath()
    hot_path.read(*hot_path.join([b""]), 0, 0, 1)  # what `bot.app.warm_up` does
    pour_frame(b"", 1, 0, hot_path.lane, SINK.sink.function, SINK.sink.context)
    pour_frames(*hot_path.join([b""]), 1, 0, hot_path.lane, SINK.sink.function, SINK.sink.context)
    hot_path.accounts([b""])
    hot_path.accounts([b"", *whole_events()])
    for compiled in (hotpath._scan, hotpath.pour_frame, hotpath.pour_frames, hotpath._accounts):
        assert len(compiled.signatures) == 1


# What the reader knows of the schema.


@pytest.mark.parametrize(
    ("message_name", "field_name", "number", "wire_type"),
    [
        ("ProtoMessage", "payloadType", 1, wire.VARINT),
        ("ProtoMessage", "payload", 2, wire.LENGTH),
        *[(f"ProtoOA{kind}", "payloadType", 1, wire.VARINT) for kind in ("SpotEvent", "DepthEvent")],
        *[(f"ProtoOA{kind}", "ctidTraderAccountId", 2, wire.VARINT) for kind in ("SpotEvent", "DepthEvent")],
        *[(f"ProtoOA{kind}", "symbolId", 3, wire.VARINT) for kind in ("SpotEvent", "DepthEvent")],
        ("ProtoOADepthEvent", "newQuotes", 4, wire.LENGTH),
        ("ProtoOADepthEvent", "deletedQuotes", 5, wire.LENGTH),
        ("ProtoOADepthQuote", "id", 1, wire.VARINT),
        ("ProtoOADepthQuote", "size", 3, wire.VARINT),
        ("ProtoOADepthQuote", "bid", 4, wire.VARINT),
        ("ProtoOADepthQuote", "ask", 5, wire.VARINT),
        ("ProtoOASpotEvent", "bid", 4, wire.VARINT),
        ("ProtoOASpotEvent", "ask", 5, wire.VARINT),
        ("ProtoOASpotEvent", "sessionClose", 7, wire.VARINT),
        ("ProtoOASpotEvent", "timestamp", 8, wire.VARINT),
    ],
)
def test_a_tag_is_read_from_the_schema(message_name: str, field_name: str, number: int, wire_type: int) -> None:
    assert bytes([field_tag(message_name, field_name)]) == wire.tag(number, wire_type)


def test_a_field_that_the_compiled_reader_could_not_read_is_refused_when_it_is_loaded() -> None:
    with pytest.raises(KeyError):
        field_tag("ProtoOATradeData", "comment")  # a text
    with pytest.raises(ValueError, match="longer than a byte"):
        field_tag("ProtoOASymbol", "leverageId")


def test_the_fields_are_read_in_the_order_in_which_they_are_written() -> None:
    for name in ("ProtoMessage", "ProtoOASpotEvent", "ProtoOADepthEvent", "ProtoOADepthQuote"):
        written = [field.number for field in message(name).DESCRIPTOR.fields]
        assert written == sorted(written)
