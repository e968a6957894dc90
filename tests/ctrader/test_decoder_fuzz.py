"""The decoder against a reader written by hand: the same frames are taken and refused, and read as the same numbers."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
import wire_reader as wire
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scripted_venue import ACCOUNT, account_list, build
from test_translate import trade_data, wire_deal, wire_order, wire_position

from bot.ctrader.framing import FrameReader, FrameTooLong, frame
from bot.ctrader.inbound import read_frame
from bot.ctrader.market_feed import MarketFeed
from bot.ctrader.redact import redact_frame
from bot.ctrader.schema import envelope, message, message_for
from bot.ctrader.translate import execution_reported
from bot.market import delta

SPOT, EXECUTION, DEPTH = 2131, 2126, 2155
MARKET_DATA = (SPOT, DEPTH)
INDEX = {11: 0, 12: 1, 13: 2}
INT64_MAX = 2**63 - 1

# Numbers where encodings have their edges: a byte, a sign, the last that fits.
edges = st.sampled_from([0, 1, 127, 128, 2**31 - 1, 2**31, 2**32, INT64_MAX, INT64_MAX + 1, 2**64 - 1])
numbers = st.one_of(edges, st.integers(0, 2**64 - 1), st.integers(1, 300_000))
symbols = st.sampled_from([11, 12, 13, 99])
accounts = st.sampled_from([ACCOUNT, ACCOUNT, ACCOUNT, 5])


def unknown_fields() -> st.SearchStrategy[bytes]:
    """Build fields that no schema has, groups among them."""
    number = st.integers(50, 500)
    plain = st.one_of(
        st.builds(wire.scalar, number, numbers),
        st.builds(wire.block, number, st.binary(max_size=9)),
        st.builds(lambda n, b: wire.tag(n, wire.FIXED64) + b, number, st.binary(min_size=8, max_size=8)),
        st.builds(lambda n, b: wire.tag(n, wire.FIXED32) + b, number, st.binary(min_size=4, max_size=4)),
    )
    return st.recursive(
        plain,
        lambda inner: st.builds(
            lambda n, parts: wire.tag(n, wire.START) + b"".join(parts) + wire.tag(n, wire.END),
            number,
            st.lists(inner, max_size=3),
        ),
        max_leaves=4,
    )


def shuffled(required: list[st.SearchStrategy[bytes]], optional: list[st.SearchStrategy[bytes]]) -> Any:
    """Build a message of fields in any order, some of them twice, with unknown ones between."""
    some = st.lists(st.one_of(*optional, unknown_fields(), *required), max_size=6)
    return st.tuples(st.tuples(*required), some).flatmap(lambda f: st.permutations([*f[0], *f[1]])).map(b"".join)


def field(number: int, content: st.SearchStrategy[int]) -> st.SearchStrategy[bytes]:
    return content.map(lambda n: wire.scalar(number, n))


trendbars = st.builds(lambda v: wire.block(6, wire.scalar(3, v)), numbers)
spots = shuffled(
    [field(2, accounts), field(3, symbols)],
    [field(1, st.just(SPOT)), field(4, numbers), field(5, numbers), trendbars, field(7, numbers), field(8, numbers)],
)
quotes = shuffled([field(1, numbers), field(3, numbers)], [field(4, numbers), field(5, numbers)])
packed = st.lists(numbers, max_size=4).map(lambda ids: wire.block(5, b"".join(map(wire.varint, ids))))
depths = shuffled(
    [field(2, accounts), field(3, symbols)],
    [field(1, st.just(DEPTH)), quotes.map(lambda q: wire.block(4, q)), packed, field(5, numbers)],
)
money = st.integers(-(2**63), INT64_MAX)
executions = st.builds(
    lambda kind, order, deal, position, extra: (
        build("ExecutionEvent", executionType=kind, order=order, deal=deal, position=position).SerializeToString()
        + extra
    ),
    st.sampled_from([2, 3, 4, 5, 6, 7, 8, 9, 11]),
    st.one_of(
        st.none(),
        st.builds(
            lambda i, v, s, c: wire_order(orderId=i, clientOrderId=c, tradeData=trade_data(volume=v, side=s)),
            money,
            money,
            st.sampled_from([1, 2]),
            st.text(max_size=5),
        ),
    ),
    st.one_of(
        st.none(), st.builds(lambda i, v, c: wire_deal(dealId=i, filledVolume=v, commission=c), money, money, money)
    ),
    st.one_of(st.none(), st.builds(lambda s, d: wire_position(swap=s, moneyDigits=d), money, st.integers(0, 8))),
    st.one_of(st.just(b""), unknown_fields()),
)


def enveloped(number: int, payload: bytes, message_id: str | None) -> bytes:
    tail = b"" if message_id is None else wire.block(3, message_id.encode())
    return wire.scalar(1, number) + wire.block(2, payload) + tail


ids = st.one_of(st.none(), st.just("r1-7"))
# What follows is anything: a message of a known type would have to be one.
unknown_types = st.integers(1, 2**32 - 1).filter(lambda number: message_for(number) is None)
frames = st.one_of(
    st.builds(enveloped, st.just(SPOT), spots, ids),
    st.builds(enveloped, st.just(DEPTH), depths, ids),
    st.builds(enveloped, st.just(EXECUTION), executions, ids),
    st.builds(enveloped, unknown_types, st.binary(max_size=20), ids),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Build a frame with bits flipped, bytes cut, doubled or put in, or the end of another frame for its own."""
    body = bytearray(draw(frames))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(body) - 1)))
        match draw(st.sampled_from(["flip", "cut", "splice", "insert", "double", "remove"])):
            case "flip" if body:
                body[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del body[at:]
            case "splice":
                other = draw(frames)
                body[at:] = other[draw(st.integers(0, len(other))) :]
            case "insert":
                body[at:at] = draw(st.binary(min_size=1, max_size=11))
            case "double":
                body[at:at] = body[at : at + draw(st.integers(1, 20))]
            case "remove":
                del body[at : at + draw(st.integers(1, 8))]
    return bytes(body)


def by_hand(body: bytes) -> tuple[int, dict[str, Any] | None, str]:
    """Read a frame by hand: payload type, fields (None for an unknown type), message id.

    Raises: Unreadable.
    """
    outer = wire.read(message("ProtoMessage").DESCRIPTOR, body)
    if "payloadType" not in outer:
        raise wire.Unreadable("no payload type")
    number = outer["payloadType"]
    raw_id = outer.get("clientMsgId", b"")
    kind = message_for(number)
    if kind is None:
        return number, None, raw_id
    fields = wire.read(kind.DESCRIPTOR, outer.get("payload", b""))
    if number not in MARKET_DATA and wire.lacks(kind.DESCRIPTOR, fields):
        raise wire.Unreadable("something required is missing")
    return number, fields, raw_id


def plain(content: Any) -> dict[str, Any]:
    """Return a message of the library as `wire_reader` would: present fields by name, text as bytes."""
    fields: dict[str, Any] = {}
    for descriptor, value in content.ListFields():
        parts = list(value) if descriptor.is_repeated else [value]
        if descriptor.type == wire.MESSAGE:
            parts = [plain(part) for part in parts]
        elif descriptor.type == wire.STRING:
            parts = [part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part for part in parts]
        fields[descriptor.name] = parts if descriptor.is_repeated else parts[0]
    return fields


def rows_by_hand(number: int, fields: dict[str, Any]) -> tuple[list[tuple[int, ...]], Counter[str]]:
    """Return the delta rows and counters that a market data message stands for."""
    rows: list[tuple[int, ...]] = []
    counters: Counter[str] = Counter()
    if fields.get("ctidTraderAccountId", 0) != ACCOUNT:
        return rows, Counter(market_data_ignored=1)
    if fields.get("symbolId", 0) not in INDEX:
        return rows, Counter(unknown_symbols=1)
    index = INDEX[fields["symbolId"]]
    if number == SPOT:
        for kind, name in ((delta.SPOT_BID, "bid"), (delta.SPOT_ASK, "ask")):
            if name in fields:
                if 1 <= fields[name] <= INT64_MAX:
                    rows.append((kind, index, 0, fields[name], 0))
                else:
                    counters["bad_quotes"] += 1
        return [*rows, (delta.END_SPOT, index, 0, 0, 0)], counters
    rows += [(delta.DEPTH_DELETE, index, quote_id, 0, 0) for quote_id in fields.get("deletedQuotes", [])]
    for quote in fields.get("newQuotes", []):
        sides = [side for side in ("bid", "ask") if quote.get(side, 0) > 0]
        size = quote.get("size", 0)
        if len(sides) != 1 or quote[sides[0]] > INT64_MAX or not 1 <= size <= INT64_MAX:
            counters["bad_quotes"] += 1
            continue
        kind = delta.DEPTH_BID if sides == ["bid"] else delta.DEPTH_ASK
        rows.append((kind, index, quote.get("id", 0), quote[sides[0]], size))
    return [*rows, (delta.END_DEPTH, index, 0, 0, 0)], counters


def compare(body: bytes) -> None:
    """Read a frame both ways; they must agree on whether it is one, and on everything in it."""
    try:
        number, fields, raw_id = by_hand(body)
    except wire.Unreadable as reason:
        with pytest.raises(DecodeError):
            pytest.fail(f"taken, though {reason}: {read_frame(body)}")
        return
    told_number, content, told_id = read_frame(body)
    assert told_number == number
    assert (told_id.encode("utf-8", "surrogateescape") if isinstance(told_id, str) else told_id) == (raw_id or b"")
    assert (content is None) == (fields is None)
    if fields is None:
        return
    assert repr(plain(content)) == repr(dict(sorted_like(content, fields)))  # repr: NaN is NaN
    if number in MARKET_DATA:
        counters: Counter[str] = Counter()
        feed = MarketFeed(counters)
        feed.index = dict(INDEX)
        (feed.spot if number == SPOT else feed.depth)(content, ACCOUNT, 7)
        rows = [tuple(row) for event in feed.take() for row in event.rows.tolist()]
        assert (rows, counters) == rows_by_hand(number, fields)


def sorted_like(content: Any, fields: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return fields in the order of their numbers, at every depth, empty lists left out."""
    out = []
    for descriptor in sorted(content.DESCRIPTOR.fields, key=lambda f: f.number):
        if descriptor.name not in fields:
            continue
        value = fields[descriptor.name]
        if descriptor.type == wire.MESSAGE:
            kind = message(descriptor.message_type.name)
            parts = [dict(sorted_like(kind(), v)) for v in (value if descriptor.is_repeated else [value])]
            value = parts if descriptor.is_repeated else parts[0]
        out.append((descriptor.name, value))
    return out


def one_quote(size: int, price: int, quote_id: int = 2**64 - 1) -> bytes:
    """Build a depth frame with one bid."""
    quote = wire.scalar(1, quote_id) + wire.scalar(3, size) + wire.scalar(4, price)
    return enveloped(DEPTH, wire.scalar(2, ACCOUNT) + wire.scalar(3, 11) + wire.block(4, quote), None)


@given(frames)
@settings(max_examples=120)
@example(one_quote(INT64_MAX, INT64_MAX))
@example(one_quote(INT64_MAX + 1, 1))
@example(one_quote(1, INT64_MAX + 1))
def test_every_valid_frame_is_read_as_it_is_by_hand(body: bytes) -> None:
    by_hand(body)
    compare(body)


@given(damaged())
@settings(max_examples=180)
@example(enveloped(SPOT, wire.tag(4, wire.FIXED64) + bytes(8), None))
@example(enveloped(SPOT, wire.tag(4, wire.START) + wire.tag(4, wire.END), None))
@example(enveloped(DEPTH, wire.tag(60, wire.START) * 101 + wire.tag(60, wire.END) * 101, None))
@example(enveloped(DEPTH, wire.tag(60, wire.START) * 99 + wire.tag(60, wire.END) * 99, None))
@example(enveloped(DEPTH, b"\x2a\x02\x80\x80", None))
@example(enveloped(SPOT, b"\x20" + b"\xff" * 9 + b"\x7f", None))
@example(enveloped(SPOT, b"\x00\x01", None))
@example(b"\x88\x80\x80\x80\x80\x00\x01")
def test_a_damaged_frame_is_taken_or_refused_and_read_as_it_is_by_hand(body: bytes) -> None:
    compare(body)


@pytest.mark.slow
@given(damaged())
@settings(max_examples=6_000)
def test_many_more_damaged_frames_are_read_as_they_are_by_hand(body: bytes) -> None:
    compare(body)


@given(executions)
@settings(max_examples=50)
def test_an_execution_is_translated_to_what_it_says(payload: bytes) -> None:
    fields = wire.read(message("ProtoOAExecutionEvent").DESCRIPTOR, payload)
    event = execution_reported(read_frame(enveloped(EXECUTION, payload, None))[1], None, 7)
    assert (event.order is None, event.deal is None) == ("order" not in fields, "deal" not in fields)
    if event.order is not None:
        wanted = fields["order"]
        sign = 1 if wanted["tradeData"]["tradeSide"] == 1 else -1
        assert event.order.order_id == wanted["orderId"]
        assert event.order.volume_cents == sign * wanted["tradeData"]["volume"]
        assert event.client_order_id == (wanted["clientOrderId"].decode() or None)
    if event.deal is not None:
        wanted = fields["deal"]
        assert (event.deal.deal_id, event.deal.order_id) == (wanted["dealId"], wanted["orderId"])
        assert event.deal.volume_cents == -wanted["filledVolume"]  # these deals sell
        assert event.deal.commission == Decimal(wanted["commission"]).scaleb(-2)
    if event.position is not None:
        wanted = fields["position"]
        assert event.position.swap * 10 ** wanted["moneyDigits"] == wanted["swap"]


# Frames out of a stream.


@given(st.lists(st.one_of(frames, damaged()), max_size=6), st.lists(st.integers(1, 40), min_size=1), st.booleans())
@settings(max_examples=50)
def test_any_cuts_of_any_stream_give_the_same_frames_and_an_oversize_one_ends_it(
    bodies: list[bytes], sizes: list[int], is_oversize: bool
) -> None:
    stream = b"".join(map(frame, bodies))
    if is_oversize:
        stream += (10_001).to_bytes(4, "big") + bytes(30)
    reader, got, i = FrameReader(max_frame_bytes=10_000), [], 0
    refused = False
    while stream and not refused:
        piece, stream = stream[: sizes[i % len(sizes)]], stream[sizes[i % len(sizes)] :]
        i += 1
        try:
            got += reader.receive(piece)
        except FrameTooLong:
            refused = True
    assert refused == is_oversize
    assert got == bodies[: len(got)], "in order, and none of them invented"
    assert got == bodies or is_oversize


# Redaction.

TOKEN = "the-access-token"
carriers = st.sampled_from(
    [
        envelope(account_list(), "m"),
        envelope(account_list()),
        envelope(build("RefreshTokenRes", accessToken=TOKEN, tokenType="b", expiresIn=1, refreshToken=TOKEN), "m"),
        envelope(build("RefreshTokenRes", accessToken=TOKEN, tokenType="b", expiresIn=1, refreshToken=TOKEN)),
    ]
)


@given(st.data())
@settings(max_examples=120)
def test_no_token_survives_a_frame_damaged_in_several_places(data: st.DataObject) -> None:
    body = bytearray(data.draw(carriers))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(3, max(3, len(body) - 1)))  # with another payload type it is another message
        match data.draw(st.sampled_from(["flip", "cut", "splice", "insert", "tag"])):
            case "flip" if at < len(body):
                body[at] ^= data.draw(st.integers(1, 255))
            case "cut":
                del body[at:]
            case "splice":
                body[at:] = data.draw(carriers)[data.draw(st.integers(3, 30)) :]
            case "insert":
                body[at:at] = data.draw(st.binary(min_size=1, max_size=4))
            case "tag" if at < len(body):
                body[at] = data.draw(st.sampled_from([0x0A, 0x12, 0x1A, 0x22, 0x2A]))
    assert TOKEN.encode() not in redact_frame(bytes(body))


@pytest.mark.parametrize("message_id", [None, "m"])
def test_a_token_that_damage_has_moved_into_the_message_id_does_not_survive(message_id: str | None) -> None:
    payload = account_list().SerializeToString()
    tail = b"" if message_id is None else wire.block(4, message_id.encode())
    whole_in_id = wire.scalar(1, 2150) + wire.block(3, payload) + tail
    token_in_id = wire.scalar(1, 2150) + wire.block(2, b"") + wire.block(3, TOKEN.encode()) + tail
    both = wire.scalar(1, 2150) + wire.block(2, payload) + wire.block(3, payload)
    for body in (whole_in_id, token_in_id, both):
        assert TOKEN.encode() not in redact_frame(body)
