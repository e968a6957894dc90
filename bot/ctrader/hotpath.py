"""Plain market data straight from the received bytes to delta rows, in one compiled call for a whole batch.

How it works: `HotPath.read` scans the frames of a batch in order. A frame is *plain* when it is exactly what every
serializer writes for a spot or depth event of our account and of a symbol we know: its fields once, in the order of
their numbers, each number in its shortest form, nothing else in it. Its rows go to a buffer that is used again and
again. At the first frame that is not plain the scan stops, and that frame is read the general way, with all of its
cases; so the two ways cannot disagree about a frame that only one of them reads. `pour_frame` and `pour_frames` take
a batch of nothing but plain frames, as most are, and hand its rows on to a sink in the same call.

Invariants: no object is made for a frame or a quote; nothing of a frame that is not plain is kept; a plain frame holds
numbers only, and no text; it never makes more rows than it has bytes.
Source: the protocol buffers encoding guide; tags from the descriptors of ProtoMessage, ProtoOADepthEvent,
ProtoOADepthQuote and ProtoOASpotEvent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from numba import njit

from bot.ctrader.schema import message, payload_type
from bot.market.delta import (
    DELTA,
    DEPTH_ASK,
    DEPTH_BID,
    DEPTH_DELETE,
    END_DEPTH,
    END_SPOT,
    SPOT_ASK,
    SPOT_BID,
)
from bot.market.delta_sink import pour
from bot.market.memory import address, carray, layout, pointer

ROOM_ROWS = 1 << 15
"""Rows that the buffer holds; a frame of so many bytes is not plain."""

_ROW_BYTES = DELTA.itemsize
_LANE = np.dtype([(name, np.int64) for name in ("known", "known_count", "rows", "used", "layout")], align=True)
"""Where a hot path's known symbols and its buffer lie; how many rows were poured last, and the layout it is read by."""
_VARINT, _LENGTH = 0, 2
_WIRE_TYPES = dict.fromkeys((FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64), _VARINT)
_WIRE_TYPES |= dict.fromkeys((FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_ENUM), _VARINT)
_WIRE_TYPES |= dict.fromkeys((FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE), _LENGTH)


def field_tag(message_name: str, field_name: str) -> int:
    """Return the one byte that stands before a field on the wire: its number and how it is encoded.

    Raises: KeyError for a field that is gone or is encoded in a way that is not read here; ValueError for a number
        that needs a longer tag.
    """
    field = message(message_name).DESCRIPTOR.fields_by_name[field_name]
    wire_type = _LENGTH if field.GetOptions().packed else _WIRE_TYPES[field.type]
    if field.number > 15:
        raise ValueError(f"{message_name}.{field_name} has number {field.number}: its tag is longer than a byte")
    return int(field.number << 3 | wire_type)


SPOT, DEPTH = payload_type("ProtoOASpotEvent"), payload_type("ProtoOADepthEvent")
_FRAME_TYPE, _FRAME_PAYLOAD = field_tag("ProtoMessage", "payloadType"), field_tag("ProtoMessage", "payload")
# The head is the same in both messages (a test compares them).
_TYPE = field_tag("ProtoOADepthEvent", "payloadType")
_ACCOUNT = field_tag("ProtoOADepthEvent", "ctidTraderAccountId")
_SYMBOL = field_tag("ProtoOADepthEvent", "symbolId")
_NEW, _DELETED = field_tag("ProtoOADepthEvent", "newQuotes"), field_tag("ProtoOADepthEvent", "deletedQuotes")
_QUOTE_ID, _QUOTE_SIZE = field_tag("ProtoOADepthQuote", "id"), field_tag("ProtoOADepthQuote", "size")
_QUOTE_BID, _QUOTE_ASK = field_tag("ProtoOADepthQuote", "bid"), field_tag("ProtoOADepthQuote", "ask")
_BID, _ASK = field_tag("ProtoOASpotEvent", "bid"), field_tag("ProtoOASpotEvent", "ask")
_SESSION_CLOSE = field_tag("ProtoOASpotEvent", "sessionClose")
_TIMESTAMP = field_tag("ProtoOASpotEvent", "timestamp")


class HotPath:
    """The compiled reader, the symbols it knows, and its buffer."""

    def __init__(self) -> None:
        self._buffer = np.zeros(ROOM_ROWS * _ROW_BYTES, np.uint8)
        self._written = self._buffer.data
        self._lane = np.zeros(1, _LANE)
        self.lane = address(self._lane)
        """Where it lies what `pour_frame` needs to know."""
        self.learn({})

    def learn(self, index: Mapping[int, int]) -> None:
        """Know these symbols from now on: the venue's id -> the index in the engine's arrays."""
        # An id below 1 is none. On the wire it could be taken for a very large one, which is another symbol.
        known = sorted((symbol_id, i) for symbol_id, i in index.items() if symbol_id > 0)
        self._known = np.array([symbol_id for symbol_id, _ in known] + [i for _, i in known], np.int64)
        self._lane[0] = (address(self._known), len(self._known), address(self._buffer), 0, 0)

    def moved(self) -> None:
        """Find out anew where everything lies: a restored checkpoint has put it elsewhere."""
        self.lane = address(self._lane)
        self._lane[0]["known"], self._lane[0]["rows"] = address(self._known), address(self._buffer)

    def join(self, frames: Sequence[bytes]) -> tuple[bytes, np.ndarray]:
        """Return the frames of a batch as `read` takes them: in one piece, and their lengths.

        Shapes: the lengths (N,).   Units: bytes.
        """
        return b"".join(frames), np.fromiter(map(len, frames), np.int64, len(frames))

    def read(
        self, wire: bytes, sizes: np.ndarray, first: int, start: int, account_id: int
    ) -> tuple[int, int, bytes, int, bool]:
        """Read plain frames from the frame `first`, which begins at `start`; stop at one that is not plain.

        Args: `wire` and `sizes` the batch, as `join` returns it.
        Returns: the frame it stopped at; where that begins; the rows of those before as bytes of `DELTA`; how many
            quotes of theirs could not be one; and whether the frame it stopped at is to be read the general way.
            If it is not, either all is read, or the buffer is full: go on from there.
        """
        at, start, used, bad, is_plain = _scan(wire, sizes, first, start, account_id, self._known, self._buffer)
        return at, start, self._written[: used * _ROW_BYTES].tobytes(), bad, not is_plain

    def left_over(self, count: int) -> np.ndarray:
        """Return the last rows of what was poured last, (`count`,) of `DELTA`."""
        used = int(self._lane["used"][0])
        return np.frombuffer(self._written[(used - count) * _ROW_BYTES : used * _ROW_BYTES].tobytes(), DELTA)

    def accounts(self, frames: Sequence[bytes]) -> list[int]:
        """Return the account of each frame that would be plain to it, whatever its symbol; 0 for every other frame."""
        return [int(account) for account in _accounts(*self.join(frames), self._buffer)]


@njit(cache=True)
def _scan(
    wire: bytes, sizes: np.ndarray, frame: int, start: int, account_id: int, known: np.ndarray, buffer: np.ndarray
) -> tuple[int, int, int, int, bool]:
    """Return where the scan ends (frame and start), rows used, bad quotes, and False when that frame is not plain."""
    rows = buffer.view(DELTA)  # here, and not before: numba takes plain arrays of bytes quicker
    used, bad = 0, 0
    while frame < len(sizes):
        size = sizes[frame]
        if size > len(rows) - used:
            return frame, start, used, bad, used > 0
        end = start + size
        stop, dropped = _plain(wire, start, end, account_id, known, rows, used)
        if stop < 0:
            return frame, start, used, bad, False
        used, bad, start = stop, bad + dropped, end
        frame += 1
    return frame, start, used, bad, True


@njit(cache=False)  # not kept by itself: it takes addresses
def _poured(
    wire: bytes,
    sizes_at: int,
    count: int,
    account_id: int,
    now_ns: int,
    lane_at: int,
    function: int,
    context: int,
    compiled_for: int,
) -> int:
    """Do the work of `pour_frame` and `pour_frames`.

    Args: `sizes_at` the address of the lengths, 0 for a single frame.
    """
    lane = carray(pointer(lane_at), (1,), _LANE)[0]
    if len(wire) > ROOM_ROWS:
        return -1
    rows = carray(pointer(lane.rows), (ROOM_ROWS,), DELTA)
    known = carray(pointer(lane.known), (lane.known_count,), np.int64)
    sizes = carray(pointer(sizes_at), (count,), np.int64)
    start, used = 0, 0
    for frame in range(count):
        end = start + sizes[frame] if sizes_at != 0 else len(wire)
        used, bad = _plain(wire, start, end, account_id, known, rows, used)
        if used < 0 or bad > 0:
            return -1
        start = end
    lane.used, lane.layout = used, compiled_for
    taken: int = pour(function, context, lane.rows, used, now_ns)
    return used - taken


def _pours(compiled_for: int) -> tuple[Any, Any]:
    @njit(cache=True)
    def pour_frame(wire: bytes, account_id: int, now_ns: int, lane_at: int, function: int, context: int) -> int:
        return _poured(wire, 0, 1, account_id, now_ns, lane_at, function, context, compiled_for)

    @njit(cache=True)
    def pour_frames(
        wire: bytes, sizes: np.ndarray, account_id: int, now_ns: int, lane_at: int, function: int, context: int
    ) -> int:
        at, count = sizes.ctypes.data, len(sizes)
        return _poured(wire, at, count, account_id, now_ns, lane_at, function, context, compiled_for)

    return pour_frame, pour_frames


pour_frame, pour_frames = _pours(layout(DELTA, _LANE))
"""pour_frame(wire, account_id, now_ns, lane, function, context) hands the rows of a frame to a sink, if it is plain and
each of its quotes can be one; pour_frames(wire, sizes, account_id, …) does the same with the frames of a batch, all or
none, `wire` and `sizes` as `HotPath.join` returns them.

Args: `lane` of a hot path; `function` and `context` of a `DeltaSink`.
Returns: how many rows the sink had no room for (`HotPath.left_over`); -1, with nothing done, if there is anything else.
"""


@njit(cache=True)
def _plain(
    wire: bytes, start: int, end: int, account_id: int, known: np.ndarray, rows: Any, used: int
) -> tuple[int, int]:
    """Write the rows of one frame; return rows used, -1 when it is not plain, and bad quotes."""
    number, account, symbol_id, at = _head(wire, start, end)
    symbol = _index_of(known, symbol_id)
    if at < 0 or account != account_id or symbol < 0:
        return -1, 0
    return _quotes(wire, at, end, number, symbol, rows, used)


@njit(cache=True)
def _accounts(wire: bytes, sizes: np.ndarray, buffer: np.ndarray) -> np.ndarray:
    rows = buffer.view(DELTA)  # written over by each frame, and read by nobody
    accounts = np.zeros(len(sizes), np.int64)
    start = 0
    for frame in range(len(sizes)):
        end = start + sizes[frame]
        if end - start <= len(rows):
            number, account, _, at = _head(wire, start, end)
            if at >= 0 and _quotes(wire, at, end, number, 0, rows, 0)[0] >= 0:
                accounts[frame] = account
        start = end
    return accounts


@njit(cache=True)
def _varint(wire: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the 64 bits of a number as a signed one, and where it ends; -1 when it is cut, over-long or too large.

    Signed throughout: of an int64 and a uint64 together numba would make a float.
    """
    number, shift = 0, 0
    while 0 <= at < end and shift < 64:
        byte = wire[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            is_shortest = byte > 0 or shift == 0
            return number, at if is_shortest and (shift < 63 or byte == 1) else -1
        shift += 7
    return number, -1


@njit(cache=True)
def _optional(wire: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Return the number of a field and where it ends; 0 and the same place when the field is not there."""
    if 0 <= at < end and wire[at] == tag:
        return _varint(wire, at + 1, end)
    return 0, at


@njit(cache=True)
def _block(wire: bytes, at: int, end: int, tag: int) -> int:
    """Return where the content of a field begins that reaches exactly to `end`; -1 when there is none."""
    if not 0 <= at < end or wire[at] != tag:
        return -1
    length, at = _varint(wire, at + 1, end)
    return at if length == end - at else -1


@njit(cache=True)
def _head(wire: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """Return payload type, account and symbol id (0 when absent), and where these end; -1 when they are not plain."""
    number, at = _optional(wire, at, end, _FRAME_TYPE)
    start = at = _block(wire, at, end, _FRAME_PAYLOAD)
    if at < 0 or (number != DEPTH and number != SPOT):
        return 0, 0, 0, -1
    inner_number, at = _optional(wire, at, end, _TYPE)
    if at != start and inner_number != number:
        return 0, 0, 0, -1
    account, at = _optional(wire, at, end, _ACCOUNT)
    symbol_id, at = _optional(wire, at, end, _SYMBOL)
    return number, account, symbol_id, at


@njit(cache=True)
def _index_of(known: np.ndarray, symbol_id: int) -> int:
    """Return the index of a symbol; -1 for one that is not known. `known` holds ids, ascending, then their indices."""
    count = len(known) // 2
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if known[middle] < symbol_id:
            low = middle + 1
        else:
            high = middle
    return known[count + low] if low < count and known[low] == symbol_id else -1


@njit(cache=True)
def _put(rows: Any, used: int, kind: int, symbol: int, quote_id: int, price_e5: int, size_cents: int) -> int:
    row = rows[used]
    row.kind = kind
    row.symbol = symbol
    row.quote_id = quote_id
    row.price_e5 = price_e5
    row.size_cents = size_cents
    return used + 1


@njit(cache=True)
def _quotes(wire: bytes, at: int, end: int, number: int, symbol: int, rows: Any, used: int) -> tuple[int, int]:
    """Write the rows of what stands behind the head; return rows used, -1 when it is not plain, and bad quotes."""
    if number == DEPTH:
        return _depth(wire, at, end, symbol, rows, used)
    return _spot(wire, at, end, symbol, rows, used)


@njit(cache=True)
def _spot(wire: bytes, at: int, end: int, symbol: int, rows: Any, used: int) -> tuple[int, int]:
    bad = 0
    start = at
    bid_e5, at = _optional(wire, at, end, _BID)
    if at > start:
        if bid_e5 > 0:
            used = _put(rows, used, SPOT_BID, symbol, 0, bid_e5, 0)
        else:
            bad += 1
    start = at
    ask_e5, at = _optional(wire, at, end, _ASK)
    if at > start:
        if ask_e5 > 0:
            used = _put(rows, used, SPOT_ASK, symbol, 0, ask_e5, 0)
        else:
            bad += 1
    _, at = _optional(wire, at, end, _SESSION_CLOSE)
    _, at = _optional(wire, at, end, _TIMESTAMP)
    if at != end:
        return -1, 0
    return _put(rows, used, END_SPOT, symbol, 0, 0, 0), bad


@njit(cache=True)
def _depth(wire: bytes, at: int, end: int, symbol: int, rows: Any, used: int) -> tuple[int, int]:
    # Deletions come last on the wire and first in the rows: the new quotes are passed over, then read.
    quotes, bad = at, 0
    while 0 <= at < end and wire[at] == _NEW:
        length, at = _varint(wire, at + 1, end)
        if at < 0 or not 0 <= length <= end - at:
            return -1, 0
        at += length
    quotes_end = at
    if at < end:
        at = _block(wire, at, end, _DELETED)
        if at < 0:
            return -1, 0
        while 0 <= at < end:
            quote_id, at = _varint(wire, at, end)
            used = _put(rows, used, DEPTH_DELETE, symbol, quote_id, 0, 0)
        if at != end:
            return -1, 0
    at = quotes
    while at < quotes_end:
        length, at = _varint(wire, at + 1, quotes_end)
        stop = at + length
        quote_id, at = _optional(wire, at, stop, _QUOTE_ID)
        size_cents, at = _optional(wire, at, stop, _QUOTE_SIZE)
        bid_e5, at = _optional(wire, at, stop, _QUOTE_BID)
        ask_e5, at = _optional(wire, at, stop, _QUOTE_ASK)
        if at != stop:
            return -1, 0
        # As everywhere: 0 is no side, and what is over the largest int64 is negative here.
        if (bid_e5 != 0 and ask_e5 != 0) or (bid_e5 | ask_e5) <= 0 or size_cents <= 0:
            bad += 1
        else:
            kind = DEPTH_BID if bid_e5 != 0 else DEPTH_ASK
            used = _put(rows, used, kind, symbol, quote_id, bid_e5 | ask_e5, size_cents)
    return _put(rows, used, END_DEPTH, symbol, 0, 0, 0), bad
