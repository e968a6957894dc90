"""Shocks in a stream: what is promised within them, and that nothing else is touched."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.market.book import standing_quotes
from bot.market.delta import (
    CLEAR_BOOK,
    DELTA,
    DEPTH_ASK,
    DEPTH_BID,
    DEPTH_DELETE,
    END_DEPTH,
    END_SPOT,
    SPOT_ASK,
    SPOT_BID,
)  # fmt: skip
from bot.research.backtest.messages import Messages, collected
from bot.research.backtest.venue_books import VenueBooks
from bot.research.shocks.altered import altered
from bot.research.shocks.shock import USUAL, Shock
from bot.research.shocks.shown_book import Shown
from bot.sim.listing import default_symbols

SPECS = [spec for spec in default_symbols() if spec.name in ("EURUSD", "GBPUSD")]
S, MID = 1_000_000_000, 110_000
BEGIN, STEPS, AT = 1_000 * S, 80, 1_020 * S + S // 2


def market(seed: int, pieces: int = 7) -> list[Messages]:
    """Return two symbols' messages, one each a second: spot and depth, with quotes that come, change and go."""
    random, batches = np.random.default_rng(seed), []
    standing: list[dict[int, int]] = [{}, {}]
    ids = itertools.count(1)
    for step in range(STEPS):
        for symbol in (0, 1):
            mid, half = MID + int(random.integers(-20, 20)), int(random.integers(0, 6))
            bid, ask = mid - half, mid + int(random.integers(0, 6))
            rows: list[tuple[int, ...]] = [(SPOT_BID, symbol, 0, bid, 0), (SPOT_ASK, symbol, 0, ask, 0)]
            rows.append((END_SPOT, symbol, 0, 0, 0))
            if random.random() < 0.05:
                rows.append((CLEAR_BOOK, symbol, 0, 0, 0))
                standing[symbol].clear()
            gone = [key for key in standing[symbol] if random.random() < 0.7]
            rows += [(DEPTH_DELETE, symbol, key, 0, 0) for key in gone]
            standing[symbol] = {key: kind for key, kind in standing[symbol].items() if key not in gone}
            for level in range(int(random.integers(1, 4))):
                for kind, price in ((DEPTH_BID, bid - 3 * level), (DEPTH_ASK, ask + 3 * level)):
                    key = next(ids)
                    standing[symbol][key] = kind
                    rows.append((kind, symbol, key, price, int(random.integers(1, 10**9))))
            rows.append((END_DEPTH, symbol, 0, 0, 0))
            batches.append((BEGIN + step * S, np.array(rows, DELTA)))
    return list(collected(batches, pieces))


def followed(pieces: Iterator[Messages]) -> Iterator[tuple[int, int, Shown]]:
    """Yield (time, symbol, what its book shows) after every message."""
    books = VenueBooks(2)
    for piece in pieces:
        for i, (time_ns, end) in enumerate(zip(piece.times_ns.tolist(), piece.ends.tolist(), strict=True)):
            books.take(piece, i, i + 1)
            symbol = int(piece.rows["symbol"][end - 1])
            spot = books.spot_e5(symbol, 0), books.spot_e5(symbol, 1)
            yield time_ns, symbol, Shown(spot, standing_quotes(books.arrays, symbol))


def as_of(states: list[tuple[int, int, Shown]], time_ns: int, symbol: int) -> Shown:
    """Return what a symbol showed after everything of a time."""
    return [shown for at_ns, s, shown in states if at_ns <= time_ns and s == symbol][-1]


def shock_of(kind: str, **others: Any) -> Shock:
    duration_s, size = USUAL[kind]
    given = {"size": size, "side": "bid" if kind == "empty-side" else None, "duration_s": min(duration_s, 20.0)}
    return Shock(kind, "EURUSD", AT, **(given | others))


KINDS = st.builds(
    shock_of,
    st.sampled_from([kind for kind in USUAL if kind != "gap"]),
    duration_s=st.floats(0.5, 40.0),
    move_bps=st.sampled_from([0.0, 37.0, -37.0]),
    reverts=st.booleans(),
)


@settings(max_examples=12, deadline=None)
@given(shock=KINDS, seed=st.integers(0, 1_000), pieces=st.integers(1, 200))
def test_outside_a_shock_the_book_is_the_true_one_and_the_stream_is_well_formed(
    shock: Shock, seed: int, pieces: int
) -> None:
    place = [spec.name for spec in SPECS].index("EURUSD")
    parts = market(seed, pieces)
    told = list(altered(iter(parts), [shock], SPECS))
    true, shown = list(followed(iter(parts))), list(followed(iter(told)))
    offset = 0
    if shock.move_bps and not shock.reverts:
        bid, ask = as_of(true, AT, place).touch() or (0, 0)
        offset = round((bid + ask) / 2 * shock.move_bps / 1e4)
    # Where a shock ends at the time of a true message, its end is told first: the last word of a time counts.
    moments = {(time_ns, symbol) for time_ns, symbol, _ in shown} | {(shock.end_ns, place)}
    for time_ns, symbol in sorted(moments):
        now = as_of(shown, time_ns, symbol)
        if symbol == place and shock.at_ns <= time_ns < shock.end_ns:
            continue
        by = offset if symbol == place and time_ns >= shock.end_ns else 0
        wanted = as_of(true, time_ns, symbol)
        assert now.spot == tuple(None if price is None else price + by for price in wanted.spot)
        assert now.quotes == {key: (side, e5 + by, size) for key, (side, e5, size) in wanted.quotes.items()}
    check_form(told)


def check_form(told: list[Messages]) -> None:
    times = np.concatenate([piece.times_ns for piece in told])
    assert (np.diff(times) >= 0).all()
    for piece in told:
        for start, end in itertools.pairwise([0, *piece.ends.tolist()]):
            rows = piece.rows[start:end]
            assert len(rows), "a message without rows"
            assert len(set(rows["symbol"].tolist())) == 1
            kinds = rows["kind"].tolist()
            assert kinds[-1] in (END_SPOT, END_DEPTH)
            if END_DEPTH in kinds:
                depth = kinds[kinds.index(END_SPOT) + 1 :] if END_SPOT in kinds else kinds
                phase = [0 if kind in (CLEAR_BOOK, DEPTH_DELETE) else 1 for kind in depth]
                assert phase == sorted(phase), "a deletion after an insertion"
            priced = np.isin(rows["kind"], (SPOT_BID, SPOT_ASK, DEPTH_BID, DEPTH_ASK))
            assert (rows["price_e5"][priced] > 0).all()
            assert (rows["size_cents"][np.isin(rows["kind"], (DEPTH_BID, DEPTH_ASK))] > 0).all()


@pytest.mark.parametrize(
    ("kind", "move_bps"), [(kind, bps) for kind in USUAL for bps in (0.0, -50.0) if bps or kind != "gap"]
)
def test_within_a_shock_the_book_shows_what_the_shock_promises(kind: str, move_bps: float) -> None:
    shock, place = shock_of(kind, move_bps=move_bps), [spec.name for spec in SPECS].index("EURUSD")
    parts = market(3)
    true, told = list(followed(iter(parts))), list(followed(altered(iter(parts), [shock], SPECS)))
    first = next(time_ns for time_ns, symbol, _ in told if symbol == place and time_ns >= AT) if kind != "stale" else 0
    bid, ask = as_of(true, AT, place).touch() or (0, 0)
    by = round((bid + ask) / 2 * move_bps / 1e4)
    inside = [(t, now) for t, symbol, now in told if symbol == place and shock.at_ns <= t < shock.end_ns]
    if kind == "stale":
        assert not inside
        return
    # A book whose quotes stay as they are is told with the next true message; every other at once.
    is_plain = kind == "reconnect" and not move_bps
    assert is_plain or first == AT
    for time_ns, now in inside:
        truth = as_of(true, time_ns, place)
        (bid, ask), (true_bid, true_ask) = now.touch() or (0, 0), truth.touch() or (0, 0)
        bids, asks = (sum(size for side, _, size in now.quotes.values() if side == s) for s in (0, 1))
        if kind == "spread":
            assert ask - bid == 10 * max(true_ask - true_bid, 1)
            assert abs((bid + ask) - (true_bid + true_ask) - 2 * by) <= 1
        elif kind == "depth":
            total = sum(size for _, _, size in truth.quotes.values())
            assert bids + asks == pytest.approx(0.1 * total, abs=len(truth.quotes))
            assert (bid, ask) == (true_bid + by, true_ask + by)
        elif kind == "empty-side":
            assert bids == 0
            assert asks > 0
            assert now.spot[0] == (as_of(true, AT, place).spot[0] or 0) + by
        elif kind == "crossed":
            assert bid - ask == max(true_ask - true_bid, 1)
            assert now.spot[0] is not None
        else:
            assert (bid, ask) == (true_bid + by, true_ask + by)


def test_a_move_that_reverts_fades_in_a_straight_line_and_is_gone_at_the_end() -> None:
    shock, place = shock_of("gap", move_bps=100.0, reverts=True), [spec.name for spec in SPECS].index("EURUSD")
    parts = market(5)
    true, told = list(followed(iter(parts))), list(followed(altered(iter(parts), [shock], SPECS)))
    moves = [
        (t, (now.touch() or (0, 0))[0] - (as_of(true, t, place).touch() or (0, 0))[0])
        for t, symbol, now in told
        if symbol == place and t >= AT
    ]
    jump = moves[0][1]
    assert jump == pytest.approx(MID / 100, rel=0.01)
    for time_ns, by in moves:
        assert by == pytest.approx(jump * max(1 - (time_ns - AT) / (20 * S), 0), abs=1)


def test_ids_and_signs_last_through_a_shock_since_no_book_is_told_anew() -> None:
    parts = [piece for piece in market(1) if not (piece.rows["kind"] == CLEAR_BOOK).any()]
    told = list(altered(iter(parts), [shock_of("crossed")], SPECS))
    assert not any((piece.rows["kind"] == CLEAR_BOOK).any() for piece in told)


def test_a_shock_before_there_is_a_price_says_so() -> None:
    early = Shock("stale", "EURUSD", BEGIN - 5 * S, 3.0)
    with pytest.raises(ValueError, match="shock stale of EURUSD at 1970-01-01 00:16:35: EURUSD has no price yet then"):
        list(altered(iter(market(1)), [early], SPECS))
