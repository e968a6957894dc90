"""Columns of every layout to quotes, ladders and trades: rows small enough to read."""

import math
from pathlib import Path

import numpy as np
import pytest

from bot.research import recordings
from bot.research.recordings import Quotes

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def _columns(names: str, rows: list[tuple[float, ...]]) -> dict[str, np.ndarray]:
    return dict(zip(names.split(), map(np.array, zip(*rows, strict=True)), strict=True))


EVENTS = _columns(
    "seq ts_recv_ns kind side price qty",
    [
        (1, 100, 1, 0, 9.0, 5.0),  # depth: not a best quote
        (2, 200, 2, 1, 11.0, 2.0),
        (2, 200, 2, 0, 10.0, 1.0),
        (3, 300, 3, 1, 10.0, 0.5),
        (4, 300, 2, 0, 10.0, 3.0),
        (4, 300, 2, 1, 11.5, 2.0),
        (5, 400, 3, 0, 11.5, 0.25),
    ],
)


def test_a_best_quote_message_is_one_quote_in_whatever_order_its_sides_come() -> None:
    quotes = recordings.quotes_of_events(EVENTS)
    assert [column.tolist() for column in quotes] == [
        [200, 300],
        [10.0, 10.0],
        [1.0, 3.0],
        [11.0, 11.5],
        [2.0, 2.0],
    ]


def test_trades_of_an_order_book_are_signed_by_their_aggressor() -> None:
    trades = recordings.trades_of_events(EVENTS)
    assert trades.time_ns.tolist() == [300, 400]
    assert (trades.size * trades.sign).tolist() == [-0.5, 0.25]


SIDES = _columns(
    "ts_us side px size",
    [
        (1, 0, 10.0, 5),  # no ask yet
        (2, 1, 10.5, 6),
        (2, 0, 10.0, 7),
        (2, 1, 10.2, 8),  # the last of its side at this stamp
        (3, 0, 10.2, 9),  # locks the market
        (4, 1, 10.4, 3),
    ],
)


def test_rows_of_one_stamp_are_one_quote_and_locked_ones_are_left_out() -> None:
    quotes = recordings.quotes_of_sides(SIDES)
    assert quotes.time_ns.tolist() == [2_000, 4_000]
    assert list(zip(quotes.bid, quotes.bid_size, quotes.ask, quotes.ask_size, strict=True)) == [
        (10.0, 7.0, 10.2, 8.0),
        (10.2, 9.0, 10.4, 3.0),
    ]


def test_a_print_is_signed_by_the_mid_just_before_it_and_a_suspicious_one_left_out() -> None:
    prints = _columns(
        "ts_us px size suspicious",
        [(3, 10.2, 1, 0), (3, 10.0, 2, 0), (4, 10.1, 3, 0), (5, 10.4, 4, 1), (5, 10.4, 5, 0)],
    )
    trades = recordings.trades_of_prints(prints, recordings.quotes_of_sides(SIDES))
    # Until stamp 4 inclusive the quote of stamp 2 is the one before: mid 10.1.
    assert trades.sign.tolist() == [1, -1, 0, 1]
    assert trades.size.tolist() == [1.0, 2.0, 3.0, 5.0]


def test_ticks_have_no_sizes_and_may_be_crossed() -> None:
    quotes = recordings.quotes_of_ticks(_columns("ts_us bid ask", [(7, 1.2, 1.1)]))
    assert quotes.time_ns.tolist() == [7_000] and quotes.mid.tolist() == [pytest.approx(1.15)]
    assert quotes.spread_bps[0] == pytest.approx(-1e4 * 0.1 / 1.15)
    assert math.isnan(quotes.imbalance[0])


def test_a_ladder_has_its_levels_best_first() -> None:
    columns = {f"{name}{level}": np.array([float(level)]) for name in ("bp", "bq", "ap", "aq") for level in range(20)}
    columns["ap0"] = np.array([4.0])
    ladders = recordings.ladders_of_snapshots(columns | {"ts_recv_ns": np.array([5])})
    assert ladders.bid.shape == (1, 20)
    assert ladders.bid_size[0].tolist() == list(range(20))
    assert ladders.mid.tolist() == [2.0]


def test_imbalance_is_positive_where_more_is_bid() -> None:
    one = np.ones(2)
    assert Quotes(one, one, np.array([3.0, 1.0]), one, one).imbalance.tolist() == [0.5, 0.0]


def test_whole_columns_are_loaded_and_only_those_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "ticks.parquet"
    pq.write_table(pa.table({"ts_us": [1, 2], "bid": [1.0, 2.0], "ask": [3.0, 4.0]}), path)
    columns = recordings.load(path, {"ts_us", "ask"})
    assert {name: column.tolist() for name, column in columns.items()} == {"ts_us": [1, 2], "ask": [3.0, 4.0]}


def test_a_recording_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no such recording: .*gone\.parquet"):
        recordings.load(tmp_path / "gone.parquet", {"bid"})
    pq.write_table(pa.table({"bid": pa.array([], pa.float64())}), tmp_path / "empty.parquet")
    with pytest.raises(ValueError, match=r"empty\.parquet holds no rows"):
        recordings.load(tmp_path / "empty.parquet", {"bid"})
