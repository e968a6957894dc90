"""Market data for the tests of the evaluator: messages from plain numbers, and streams of any kind from hypothesis."""

from dataclasses import dataclass, field

from hypothesis import strategies as st
from naive_market import Row

from bot.market.delta import (
    CLEAR_BOOK,
    DEPTH_ASK,
    DEPTH_BID,
    DEPTH_DELETE,
    END_DEPTH,
    END_SPOT,
    SPOT_ASK,
    SPOT_BID,
)

S = 1_000_000_000
START_NS = 1_700_000_000 * S
BASE = (110_000, 9_000_000, 110_000, 3_000)


def quotes(s: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]], first_id: int = 1) -> list[Row]:
    """Return a depth message of (price_e5, units) levels."""
    rows = [(DEPTH_BID, s, first_id + i, p, 100 * q) for i, (p, q) in enumerate(bids)]
    rows += [(DEPTH_ASK, s, first_id + len(bids) + i, p, 100 * q) for i, (p, q) in enumerate(asks)]
    return [*rows, end(s)]


def spot(s: int, bid_e5: int, ask_e5: int) -> list[Row]:
    return [(SPOT_BID, s, 0, bid_e5, 0), (SPOT_ASK, s, 0, ask_e5, 0), (END_SPOT, s, 0, 0, 0)]


def end(s: int) -> Row:
    return (END_DEPTH, s, 0, 0, 0)


def gone(s: int, *ids: int) -> list[Row]:
    return [*((DEPTH_DELETE, s, i, 0, 0) for i in ids), end(s)]


B0 = quotes(
    0,
    [(110_000, 1_000_000), (109_999, 2_000_000), (109_997, 3_000_000)],
    [(110_002, 500_000), (110_003, 1_500_000), (110_006, 4_000_000)],
)


@dataclass(frozen=True)
class Batch:
    """Rows with one receive time, and what the engine says of the symbols before them."""

    now_ns: int
    rows: list[Row]
    says: list[tuple[str, int, float]] = field(default_factory=list)  # what, symbol, value


_SAYINGS = st.one_of(
    st.tuples(st.just("closed"), st.integers(0, 3), st.sampled_from([0.0, 1.0])),
    st.tuples(st.just("fill_q10"), st.integers(0, 3), st.sampled_from([0.2, 0.44, 0.9])),
    st.tuples(st.just("latency_s"), st.integers(0, 3), st.sampled_from([0.003, 2.0])),
    st.tuples(st.just("reference_units"), st.integers(0, 3), st.sampled_from([float("nan"), 1_000.0, 2e6])),
    st.tuples(st.just("bin"), st.just(0), st.sampled_from([3.0, 4.0])),
    st.tuples(st.just("drop"), st.just(0), st.just(0.0)),
)
_AWAY = st.sampled_from([-3, 0, 1, 1, 2, 3, 5, 9, 20, 400, 2500])
_GAPS_NS = st.sampled_from([0, 1_000, 5_000_000, 60_000_000, S // 4, S, S, S + 7, 2 * S, 45 * S, 600 * S])


@st.composite
def batches(draw: st.DrawFn, most: int = 25) -> list[Batch]:
    """Streams over four symbols: 0 and 1 with depth, 2 with neither sizes nor much news, 3 with spot prices only."""
    found, now_ns = [], START_NS
    for _ in range(draw(st.integers(1, most))):
        now_ns += draw(_GAPS_NS)
        rows: list[Row] = []
        for _ in range(draw(st.integers(0, 4))):
            s = draw(st.sampled_from([0, 0, 0, 1, 1, 2, 3]))
            kind = "spot" if s == 3 else draw(st.sampled_from(["spot", "spot", *["depth"] * 8, "clear"]))
            if kind == "spot":
                bid = BASE[s] + draw(st.integers(-5, 5))
                prices = ((SPOT_BID, bid), (SPOT_ASK, bid + draw(st.sampled_from([-1, 0, 1, 2, 3, 30]))))
                moved = draw(st.sampled_from([prices[:1], prices[1:], prices, prices]))
                rows += [*((side, s, 0, price, 0) for side, price in moved), (END_SPOT, s, 0, 0, 0)]
            elif kind == "clear":
                rows.append((CLEAR_BOOK, s, 0, 0, 0))
            else:
                rows += _depth_message(draw, s)
        says = draw(st.lists(_SAYINGS, max_size=1)) if draw(st.integers(0, 9)) == 0 else []
        found.append(Batch(now_ns, rows, says))
    return found


def _depth_message(draw: st.DrawFn, s: int) -> list[Row]:
    """Return deletions, known ids or not, then quotes: mostly a tight book, sometimes locked, crossed or far away."""
    rows = [(DEPTH_DELETE, s, i, 0, 0) for i in draw(st.lists(st.integers(1, 12), max_size=3))]
    for quote_id in draw(st.lists(st.integers(1, 12), max_size=6)):
        side, away = draw(st.integers(0, 1)), draw(_AWAY)
        price = BASE[s] + (away if side else -away)
        rows.append((DEPTH_BID + side, s, quote_id, price, 100 * draw(st.integers(1, 40_000)) + 1))
    return [*rows, end(s)]
