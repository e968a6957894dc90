"""Recordings as markets: small files of every layout, written here, and the books they must lead to."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from venue_client import SECOND, START_NS

from bot.sim.book import VenueBook
from bot.sim.change import Change, Quote
from bot.sim.day_files import DayFile
from bot.sim.market import open_market
from bot.sim.recording import SHAPE_FILE, open_recording, recorded_files

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def _write(path: Path, metadata: dict[bytes, bytes] | None = None, **columns: list[Any]) -> str:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return str(path)


def _events(path: Path, rows: list[tuple[int, int, int, int, float, float, int]]) -> str:
    names = ("seq", "ts_recv_ns", "kind", "side", "price", "qty", "update_id")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return _write(path, ts_exch_ms=[0] * len(rows), **columns)


def _changes(source: str, name: str, speed: float = 1.0, seconds: int = 10) -> list[Change]:
    market = open_market(source, seed=1, start_ns=START_NS, speed=speed)
    (symbol_id,) = (spec.symbol_id for spec in market.specs if spec.name == name)
    return [change for change in market.advance(START_NS + seconds * SECOND) if change.symbol_id == symbol_id]


DEPTH_ROWS = [
    (0, 1_000, 1, 0, 99.0, 5.0, 7),  # before the snapshot and older than it: never applied
    (1, 2_000, 1, 0, 100.0, 9.0, 12),  # before the snapshot and newer than it: applied after it
    (1, 2_000, 1, 1, 101.5, 0.0, 12),
    (2, 3_000, 2, 0, 100.0, 1.0, 11),
    (2, 3_000, 2, 1, 100.5, 1.0, 11),
    (3, 4_000, 0, 0, 100.0, 1.0, 10),
    (3, 4_000, 0, 1, 100.5, 2.0, 10),
    (3, 4_000, 0, 1, 101.5, 3.0, 10),
    (4, 5_000, 1, 0, 98.0, 4.0, 9),  # after the snapshot and older than it: not applied
    (5, 6_000, 1, 1, 100.5, 2.5, 13),
    (5, 6_000, 1, 0, 100.0, 0.0, 13),
    (6, 7_000, 2, 0, 100.0, 2.0, 13),
    (6, 7_000, 2, 1, 100.6, 2.0, 13),
    (7, 8_000, 3, 1, 100.0, 2.0, 99),
]


def test_depth_messages_before_the_snapshot_are_kept_and_applied_only_from_its_id_on(tmp_path: Path) -> None:
    changes = _changes(_events(tmp_path / "l2_binance_coinm_BTCUSD_PERP_events.parquet", DEPTH_ROWS), "BTCUSD")
    base = 6_000_000_001
    assert changes == [
        Change(START_NS + 2_000, 6, 10_000_000, 10_050_000),
        Change(START_NS + 3_000, 6, new=(Quote(base, True, 10_000_000, 900), Quote(base + 1, False, 10_050_000, 200))),
        Change(START_NS + 5_000, 6, new=(Quote(base + 1, False, 10_050_000, 250),), deleted=(base,)),
        Change(START_NS + 6_000, 6, None, 10_060_000),
    ]


def test_a_level_that_comes_back_gets_a_fresh_id(tmp_path: Path) -> None:
    rows = [(0, 0, 0, 0, 100.5, 1.0, 1), (1, 1, 1, 0, 100.5, 0.0, 2), (2, 2, 1, 0, 100.5, 1.0, 3)]
    changes = _changes(_events(tmp_path / "l2_x_events.parquet", rows), "BTCUSD")
    assert changes[2].new[0].quote_id != changes[0].new[0].quote_id


def test_a_second_snapshot_replaces_the_book(tmp_path: Path) -> None:
    rows = [(0, 0, 0, 0, 100.5, 1.0, 1), (1, 1, 0, 0, 100.0, 2.0, 5), (1, 1, 0, 1, 101.0, 2.0, 5)]
    first, second = _changes(_events(tmp_path / "l2_x_events.parquet", rows), "BTCUSD")
    assert second.deleted == (first.new[0].quote_id,)
    assert [quote.price_e5 for quote in second.new] == [10_000_000, 10_100_000]


def test_a_message_cut_by_a_batch_is_still_one_change(tmp_path: Path) -> None:
    count = 20_000
    rows = [(0, 0, 0, 0, 100 + index / 10, 1.0, 1) for index in range(count)]
    changes = _changes(_events(tmp_path / "l2_x_events.parquet", rows), "BTCUSD")
    assert [len(change.new) for change in changes] == [count]


def test_recorded_time_starts_at_the_start_and_runs_at_the_speed(tmp_path: Path) -> None:
    rows = [(0, 5 * SECOND, 0, 0, 100.5, 1.0, 1), (1, 9 * SECOND, 1, 0, 100.5, 2.0, 2)]
    path = _events(tmp_path / "l2_x_events.parquet", rows)
    times = [change.time_ns - START_NS for change in _changes(path, "BTCUSD", speed=4.0)]
    assert times == [0, SECOND]


def test_the_tiniest_quantity_is_at_least_one_cent(tmp_path: Path) -> None:
    changes = _changes(_events(tmp_path / "l2_x_events.parquet", [(0, 0, 0, 0, 100.5, 0.0001, 1)]), "BTCUSD")
    assert changes[0].new[0].size_cents == 1


@pytest.mark.parametrize(("price", "digits"), [(61_800.1, 1), (61_837.63, 2)])
def test_the_digits_are_those_of_the_recording(price: float, digits: int, tmp_path: Path) -> None:
    path = _events(tmp_path / "l2_x_events.parquet", [(0, 0, 0, 0, price, 1.0, 1)])
    market = open_market(path, seed=1, start_ns=START_NS, speed=1.0)
    assert {spec.name: spec.digits for spec in market.specs}["BTCUSD"] == digits
    assert [spec.name for spec in market.specs] == ["EURUSD", "USDJPY", "EURJPY", "GBPUSD", "XAUUSD", "BTCUSD"]
    assert market.descriptions["BTCUSD"] == "recorded depth"
    assert market.descriptions["EURUSD"] == "synthetic calm"


def test_the_market_stops_changing_at_the_end_and_says_so(tmp_path: Path) -> None:
    path = _events(tmp_path / "l2_x_events.parquet", [(0, 0, 0, 0, 100.5, 1.0, 1)])
    market = open_market(path, seed=1, start_ns=START_NS, speed=1.0)
    market.advance(START_NS + SECOND)
    assert market.ended == ["BTCUSD"]
    assert not any(change.symbol_id == 6 for change in market.advance(START_NS + 5 * SECOND))
    assert market.ended == ["BTCUSD"]


def _book20(path: Path, rows: list[tuple[int, list[tuple[float, float]], list[tuple[float, float]]]]) -> str:
    columns: dict[str, list[Any]] = {"seq": [], "ts_recv_ns": [], "ts_exch_ms": []}
    for index, (time_ns, bids, asks) in enumerate(rows):
        for name, cell in (("seq", index), ("ts_recv_ns", time_ns), ("ts_exch_ms", 0)):
            columns[name].append(cell)
        for side, levels in (("b", bids), ("a", asks)):
            for level in range(20):
                price, size = levels[level] if level < len(levels) else (float("nan"), float("nan"))
                columns.setdefault(f"{side}p{level}", []).append(price)
                columns.setdefault(f"{side}q{level}", []).append(size)
    return _write(path, **columns)


def test_snapshots_become_the_differences_between_them(tmp_path: Path) -> None:
    path = _book20(
        tmp_path / "l2_binance_spot_BTCUSDT_book20.parquet",
        [
            (0, [(100.0, 1.0), (99.5, 2.0)], [(100.5, 3.0)]),
            (10, [(100.0, 1.5)], [(100.5, 3.0), (101.0, 1.0)]),
            (20, [(100.0, 1.5)], [(100.5, 3.0), (101.0, 1.0)]),
        ],
    )
    first, second = _changes(path, "BTCUSD")
    assert (first.bid_e5, first.ask_e5, len(first.new), first.deleted) == (10_000_000, 10_050_000, 3, ())
    assert (second.bid_e5, second.ask_e5, second.time_ns) == (None, None, START_NS + 10)
    assert [(quote.price_e5, quote.size_cents) for quote in second.new] == [(10_000_000, 150), (10_100_000, 100)]
    assert second.deleted == (next(quote.quote_id for quote in first.new if quote.price_e5 == 9_950_000),)


TICKS = {"ts_us": [0, 1, 2], "bid": [1.38727, 1.3873, 1.3873], "ask": [1.38729, 1.3873, 1.38728]}


@pytest.mark.parametrize("has_shape_file", [False, True])
def test_fx_quotes_are_served_exactly_as_recorded_even_locked_and_crossed(has_shape_file: bool, tmp_path: Path) -> None:
    path = _write(tmp_path / "fx_fxcm_EURUSD_2014-05.parquet", **TICKS)
    if has_shape_file:
        levels = [(100.0 - index, 1.0 + index) for index in range(12)]
        asks = [(100.5 + index, 2.0 + index) for index in range(12)]
        _book20(tmp_path / "l2_binance_coinm_BTCUSD_PERP_book20.parquet", [(0, levels, asks)])
    changes, book, seen = _changes(path, "EURUSD"), VenueBook(), []
    for change in changes:
        book.apply(change)
        seen.append((book.bid_e5, book.ask_e5))
        bids, asks_now = book.levels(is_bid=True), book.levels(is_bid=False)
        assert (bids[0][0], asks_now[0][0]) == seen[-1], "the best level is the recorded quote"
        assert len(bids) == len(asks_now) == 10
        if not has_shape_file and seen[-1][0] >= seen[-1][1]:
            assert bids[1][0] == bids[0][0] - 12, "without a spread one tick scales the shape"
    assert seen == [(138_727, 138_729), (138_730, 138_730), (138_730, 138_728)]
    market = open_market(path, seed=1, start_ns=START_NS, speed=1.0)
    assert "semi-synthetic depth" in market.descriptions["EURUSD"]


def test_the_shape_of_the_other_book_is_laid_around_the_quote(tmp_path: Path) -> None:
    path = _write(tmp_path / "fx_oanda_NZDUSD_2014-05.parquet", ts_us=[0], bid=[0.86000], ask=[0.86010])
    bids = [(100.0, 1.0), (99.0, 2.0), (98.5, 4.0), *((90.0 - index, 1.0) for index in range(7))]
    asks = [(100.5, 1.0), (101.5, 0.5), *((110.0 + index, 1.0) for index in range(8))]
    _book20(tmp_path / "l2_binance_coinm_BTCUSD_PERP_book20.parquet", [(0, bids, asks)])
    (change,) = _changes(path, "NZDUSD")
    shown = [(q.is_bid, q.price_e5, q.size_cents) for q in change.new]
    # A spread of 0.5 there is 10 ticks here: one price unit away is 20 ticks.
    assert shown[:3] == [(True, 86_000, 10**8), (True, 85_980, 2 * 10**8), (True, 85_970, 4 * 10**8)]
    assert shown[10:12] == [(False, 86_010, 10**8), (False, 86_030, 5 * 10**7)]


def test_a_new_recorded_symbol_is_added_with_its_own_id_and_assets(tmp_path: Path) -> None:
    path = _write(tmp_path / "fx_oanda_NZDUSD_2014-05.parquet", ts_us=[0], bid=[0.86], ask=[0.87])
    spec = open_market(path, seed=1, start_ns=START_NS, speed=1.0).specs[-1]
    assert (spec.symbol_id, spec.name, spec.base_asset, spec.digits, spec.pip_position) == (7, "NZDUSD", "NZD", 5, 4)


def test_best_quotes_make_a_book_of_two_and_the_last_row_of_a_stamp_counts(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "l1_usequity_BAC_2013-10_quotes.parquet",
        ts_us=[0, 0, 0, 5, 5, 9],
        side=[0, 1, 0, 0, 1, 0],
        px=[13.90, 13.92, 13.91, 13.91, 13.93, 99.0],
        size=[1, 2, 3, 4, 2, 1],
        venue=["K"] * 6,
        suspicious=[0, 0, 0, 0, 0, 1],
    )
    first, second = _changes(path, "BAC")
    assert (first.bid_e5, first.ask_e5) == (1_391_000, 1_392_000)
    bid, ask = first.new
    assert (bid.size_cents, ask.size_cents) == (300, 200)
    assert (second.bid_e5, second.ask_e5, second.time_ns) == (None, 1_393_000, START_NS + 5_000)
    assert second.new[0] == Quote(bid.quote_id, True, 1_391_000, 400)
    assert second.deleted == (ask.quote_id,)


def test_a_corrupt_file_is_one_line_naming_it(tmp_path: Path) -> None:
    path = tmp_path / "fx_fxcm_EURUSD_2014-05.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(ValueError, match=r"fx_fxcm_EURUSD.*not a readable parquet file") as error:
        open_market(str(path), seed=1, start_ns=START_NS, speed=1.0)
    assert "\n" not in str(error.value)


def test_a_file_that_is_corrupt_further_on_stops_only_its_own_market(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path / "fx_fxcm_EURUSD_2014-05.parquet", **TICKS)

    def breaks(*_: Any) -> Iterator[Change]:
        yield Change(START_NS, 1, 1, 2)
        raise ValueError("fx_fxcm_EURUSD_2014-05.parquet is corrupt")

    monkeypatch.setattr("bot.sim.shape.ticks", breaks)
    market = open_market(path, seed=1, start_ns=START_NS, speed=1.0)
    market.advance(START_NS)
    assert (market.ended, market.broken) == (["EURUSD"], ["fx_fxcm_EURUSD_2014-05.parquet is corrupt"])
    assert {change.symbol_id for change in market.advance(START_NS + SECOND)} == {2, 3, 4, 5, 6}


def test_a_recording_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path / "fx_fxcm_EURUSD_2014-05.parquet", **TICKS)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ValueError, match=r"microlev\[research\]"):
        open_market(path, seed=1, start_ns=START_NS, speed=1.0)


def test_a_foreign_file_is_one_line_saying_what_was_expected(tmp_path: Path) -> None:
    path = _write(tmp_path / "other.parquet", a=[1])
    with pytest.raises(ValueError, match=r"other.parquet is no known recording: expected the columns") as error:
        open_market(path, seed=1, start_ns=START_NS, speed=1.0)
    assert "\n" not in str(error.value)


def test_a_recording_without_rows_and_one_without_a_symbol_in_its_name_are_refused(tmp_path: Path) -> None:
    empty = _write(tmp_path / "fx_a_EURUSD_b.parquet", ts_us=[], bid=[], ask=[])
    with pytest.raises(ValueError, match="holds no rows"):
        open_market(empty, seed=1, start_ns=START_NS, speed=1.0)
    nameless = _write(tmp_path / "quotes.parquet", **TICKS)
    with pytest.raises(ValueError, match="cannot tell the symbol"):
        open_market(nameless, seed=1, start_ns=START_NS, speed=1.0)


# -- folders of days -------------------------------------------------------------------------------------------------


def _day(folder: Path, number: int, bid: float, symbol: str = "EURUSD", rows: int = 2, **told: Any) -> str:
    """Write a day of quotes a second apart; it is named in order of `number`."""
    file = DayFile(**({"symbol": symbol, "digits": 5, "account_kind": "demo", "from_ms": 0, "to_ms": 1,
                       "row_count": rows, "bid_count": 0, "ask_count": 0} | told))  # fmt: skip
    path = folder / f"{symbol}_2026-01-{number:02}.parquet"
    times_us = [number * 3_000_000 + k * 1_000_000 for k in range(rows)]
    return _write(path, file.metadata(), ts_us=times_us, bid=[bid] * rows, ask=[bid + 0.0001 * k for k in range(rows)])


def test_a_folder_of_days_is_one_market_in_order_and_days_without_ticks_are_passed(tmp_path: Path) -> None:
    for number, bid, rows in ((3, 1.3, 2), (1, 1.1, 2), (2, 1.2, 0)):
        _day(tmp_path / "EURUSD", number, bid, rows=rows)
    changes = _changes(str(tmp_path / "EURUSD"), "EURUSD", seconds=60)
    assert [(change.time_ns - START_NS, change.bid_e5) for change in changes] == [
        (0, 110_000), (SECOND, None), (6 * SECOND, 130_000), (7 * SECOND, None)
    ]  # fmt: skip
    market = open_market(str(tmp_path / "EURUSD"), seed=1, start_ns=START_NS, speed=1.0)
    assert market.descriptions["EURUSD"] == "recorded quotes of 3 days, semi-synthetic depth"
    assert _changes(str(tmp_path), "EURUSD", seconds=60) == changes, "a folder of that one folder is the same"
    (tmp_path / "EURUSD" / SHAPE_FILE).write_bytes(b"read by who wants shapes")
    assert recorded_files(tmp_path / "EURUSD") == sorted((tmp_path / "EURUSD").glob("EURUSD_*"))


@pytest.mark.parametrize("has_statistics", [True, False])
def test_a_column_of_symbols_has_to_hold_one_alone_or_in_a_folder(has_statistics: bool, tmp_path: Path) -> None:
    folder = tmp_path / "EURUSD"
    for number in (1, 2):
        _day(folder, number, 1.1)
    path = folder / "EURUSD_2026-01-02.parquet"
    table = pq.read_table(path)
    for symbols in (["GBPUSD", "GBPUSD"], ["EURUSD", "GBPUSD"]):
        told = table.append_column("symbol", pa.array(symbols)).replace_schema_metadata(None)
        pq.write_table(told, path, write_statistics=has_statistics)
        if len(set(symbols)) == 1:
            assert open_recording(str(path)).spec.name == "GBPUSD", "the column tells before the name does"
            with pytest.raises(ValueError, match=r"01-02.parquet is of GBPUSD, and EURUSD_2026-01-01"):
                open_recording(str(folder))
            continue
        for source in (path, folder):
            with pytest.raises(ValueError, match=r"01-02.parquet holds several symbols \(EURUSD, GBPUSD\)"):
                open_recording(str(source))


def test_the_metadata_say_symbol_and_digits_before_name_and_prices_do(tmp_path: Path) -> None:
    path = Path(_day(tmp_path, 1, 1.5, symbol="USDJPY", digits=3)).rename(tmp_path / "fx_x_EURUSD_y.parquet")
    spec = open_recording(str(path)).spec
    assert (spec.name, spec.digits) == ("USDJPY", 3)
    renamed = Path(_day(tmp_path, 1, 1.5, symbol="US30Cash", digits=1)).rename(tmp_path / "a.parquet")
    spec = open_recording(str(renamed)).spec
    assert (spec.name, spec.digits, spec.quote_asset) == ("US30Cash", 1, "USD")


def test_a_day_without_metadata_has_its_symbol_from_its_name(tmp_path: Path) -> None:
    path = _write(tmp_path / "GBPUSD_2026-01-05.parquet", **TICKS)
    assert open_recording(path).spec.name == "GBPUSD"


@pytest.mark.parametrize("symbol", ["BTCUSD", "XAGUSD", "EURSEK", "US500"])
def test_sizes_of_made_up_depth_are_of_the_symbol_s_class(symbol: str, tmp_path: Path) -> None:
    (change, *_) = _changes(_day(tmp_path, 1, 50.0, symbol=symbol, digits=2), symbol)
    best = next(quote for quote in change.new if quote.is_bid)
    mean = {"BTCUSD": 1_000, "XAGUSD": 1_000_000, "EURSEK": 100_000_000, "US500": 10_000}[symbol]
    assert 0.5 * mean < best.size_cents < 2 * mean


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ([], "holds no .parquet files"),
        ([("EURUSD", 1, 0)], "holds no rows"),
        ([("EURUSD", 1, 2), ("GBPUSD", 2, 2)], "GBPUSD_2026-01-02.parquet is of GBPUSD, and EURUSD_2026-01-01"),
    ],
)
def test_a_folder_that_is_no_market_is_one_line(days: list[tuple[str, int, int]], words: str, tmp_path: Path) -> None:
    for symbol, number, rows in days:
        _day(tmp_path, number, 1.1, symbol=symbol, rows=rows)
    with pytest.raises(ValueError, match=words) as error:
        open_market(str(tmp_path), seed=1, start_ns=START_NS, speed=1.0)
    assert "\n" not in str(error.value)


def test_a_folder_of_several_symbols_asks_for_one_and_a_foreign_file_in_it_is_named(tmp_path: Path) -> None:
    for symbol in ("EURUSD", "GBPUSD"):
        _day(tmp_path / symbol, 1, 1.1, symbol=symbol)
    with pytest.raises(ValueError, match=r"several symbols; name one: .*EURUSD, .*GBPUSD"):
        open_recording(str(tmp_path))
    _write(tmp_path / "EURUSD" / "z.parquet", a=[1])
    with pytest.raises(ValueError, match=r"z.parquet is not in the layout fx_\*"):
        open_recording(str(tmp_path / "EURUSD"))


def test_days_out_of_order_and_days_that_rot_stop_their_market_and_are_named(tmp_path: Path) -> None:
    late = Path(_day(tmp_path, 5, 1.2)).rename(tmp_path / "EURUSD_2026-01-01.parquet")
    _day(tmp_path, 3, 1.1)
    market = open_market(str(tmp_path), seed=1, start_ns=START_NS, speed=1.0)
    market.advance(START_NS + 60 * SECOND)
    assert "EURUSD_2026-01-03.parquet begins before the file before it ends" in market.broken[0]
    late.unlink()
    path = tmp_path / "EURUSD_2026-01-04.parquet"
    columns = {"ts_us": range(12_000_000, 12_020_000), "bid": [1.1] * 20_000, "ask": [1.2] * 20_000}
    pq.write_table(pa.table(columns), path, write_page_checksum=True, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    market = open_market(str(tmp_path), seed=1, start_ns=START_NS, speed=1.0)
    market.advance(START_NS + 60 * SECOND)
    assert "EURUSD_2026-01-04.parquet is corrupt" in market.broken[0]
