"""Exports say what a run was told and decided: against Decisions, and frames read the protobuf way by plain books."""

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wired_bot import START, WiredBot, bot_config, virtual_venue

from bot.app import replay_journal
from bot.cli.lines import order_line
from bot.ctrader.pipeline import Pipeline
from bot.ctrader.schema import message, message_for
from bot.engine import events as ev
from bot.engine.decision import Decision
from bot.journal.format import RecordKind, decode_batch
from bot.journal.reader import JournalReader
from bot.market.delta import DEPTH_ASK, DEPTH_BID, END_DEPTH, END_SPOT, SPOT_ASK, SPOT_BID, delta_rows
from bot.market.feature_table import FIELDS
from bot.sim.listing import default_symbols
from bot.sim.recording import open_recording

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from bot.research.export import MOST_ROWS, Export  # noqa: E402
from bot.research.export_columns import REFUSAL, TABLES, columns_of, schema_of  # noqa: E402
from bot.research.export_file import ExportError, TableFile  # noqa: E402
from bot.research.export_market import BookRows, MarketRows, QuoteRows  # noqa: E402
from bot.research.tapped_engine import TappedEngine  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"warm_up_s": 0.5, "persistence_s": 0, "max_increase_frac_per_min": None, "band": 0.05, "time_of_day": False}


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> WiredBot:
    """A run that trades, and is refused an order by the order rate."""
    folder = tmp_path_factory.mktemp("run")
    config = bot_config(
        folder,
        trade=True,
        strategy={"name": "liquidity-weighted", "base_leverage": 2},
        sizing=QUICK,
        risk={"max_orders_per_minute": 1},
    )
    bot = WiredBot(folder, config, virtual_venue(), seconds=5).start().let(8)
    assert bot.result is not None
    return bot


def exported(bot: WiredBot, folder: Path, *names: str, **more: Any) -> dict[str, Any]:
    """Export a bot's journal, and return the tables by name."""
    export = Export({name: folder / f"{name}.parquet" for name in names or TABLES}, **more)

    def watch(run: Any) -> list[Any]:
        export.watch(run.engine, is_paper=run.config.mode == "dry-run")
        if export.wants_events:
            run.pipeline = Pipeline(run.session, TappedEngine(run.engine, export.hear), orders_to_venue=True)
        return [export.decided]

    result = replay_journal(bot.journal_path, watch=watch, to_the_end=True)
    assert result.difference is None
    export.finish({"decisions_equal": "yes"})
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    return {name: pq.read_table(folder / f"{name}.parquet") for name in names or TABLES}


@pytest.fixture(scope="module")
def tables(bot: WiredBot, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return exported(bot, tmp_path_factory.mktemp("all"))


def listed(table: Any) -> list[dict[str, Any]]:
    """Return a table's rows, times as whole ns: pyarrow would want pandas for them."""
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def own_rows(decision: Decision, names: list[str]) -> int:
    """Return how many rows of its own a Decision needs beside those of its symbols."""
    changed = {names[s] for s in decision.rows["symbol"]}
    refused = {refusal.symbol for refusal in decision.refused} - changed
    return len(refused) or int(decision.state is not None and not changed)


# -- decisions, features, orders, deals ------------------------------------------------------------------------------


def test_there_is_a_row_for_each_symbol_that_changed_and_for_what_concerns_none(
    bot: WiredBot, tables: dict[str, Any]
) -> None:
    names = [spec.name for spec in bot.run.engine.specs]
    own = sum(own_rows(decision, names) for decision in bot.decisions)
    changed = sum(len(decision.rows) for decision in bot.decisions)
    changes = [change for decision in bot.decisions for change in decision.order_changes]
    deals = [deal for decision in bot.decisions for deal in decision.deals]
    assert own > 0 and changed > 50 and changes and deals
    assert tables["decisions"].num_rows == changed + own
    assert tables["features"].num_rows == changed
    assert (tables["orders"].num_rows, tables["deals"].num_rows) == (len(changes), len(deals))


def test_the_figures_of_decisions_and_features_are_those_of_the_run(bot: WiredBot, tables: dict[str, Any]) -> None:
    names = [spec.name for spec in bot.run.engine.specs]
    expected = [(n, d, row) for n, d in enumerate(bot.decisions, 1) for row in d.rows]
    for table in ("decisions", "features"):
        rows = [row for row in listed(tables[table]) if row.get("leverage_goal", 0) is not None]
        rows = [
            row for row in rows if (row["number"], row["symbol"]) in {(n, names[r["symbol"]]) for n, _, r in expected}
        ]
        assert [(row["number"], row["time"], row["symbol"]) for row in rows] == [
            (n, d.now_ns, names[row["symbol"]]) for n, d, row in expected
        ]
        shared = {"mid", "spread_bps", "bid_depth_units", "obi", "ofi", "liquidity_ratio", "fill_frac"}
        if table == "decisions":
            shared |= {"impact_bps", "leverage_now", "leverage_goal", "leverage_target"}
        for name in shared:
            np.testing.assert_array_equal([row[name] for row in rows], [row[name] for _, _, row in expected])
        levels = [row["crisis_level"] for row in rows]
        assert [np.nan if level is None else level for level in levels] == [
            row["crisis_level"] for _, _, row in expected
        ]


def test_factors_bounds_and_caps_are_named(bot: WiredBot, tables: dict[str, Any]) -> None:
    table = tables["decisions"]
    factors = [name for name in table.column_names if name.startswith("factor_")]
    assert factors == [f"factor_{name}" for name in bot.run.engine.strategy.factor_names]
    last = listed(table.slice(table.num_rows - 1))[0]
    row = next(d for d in reversed(bot.decisions) if len(d.rows)).rows[-1]
    np.testing.assert_array_equal([last[name] for name in factors], row["factors"][: len(factors)])
    assert {"warm_up", None} <= set(table["bound"].to_pylist())
    assert "max_symbol" in set(table["cap_bound"].to_pylist())


def test_refusals_and_the_state_stand_in_the_rows_they_concern(bot: WiredBot, tables: dict[str, Any]) -> None:
    refused = [(n, r.symbol, r.check, r.value, r.limit) for n, d in enumerate(bot.decisions, 1) for r in d.refused]
    assert refused
    rows = listed(tables["decisions"])
    found = [
        (row["number"], row["symbol"], each["check"], each["value"], each["limit"])
        for row in rows
        for each in row["refusals"]
    ]
    assert sorted(found) == sorted(refused)
    state, numbered = None, {}
    for number, decision in enumerate(bot.decisions, 1):
        state = decision.state or state
        numbered[number] = state
    for row in rows:
        told = numbered[row["number"]]
        assert told is not None
        assert (row["ready"], row["trading"], tuple(row["reasons"])) == (told.ready, told.trading, told.reasons)
    assert {row["ready"] for row in rows} == {True, False}


def test_an_order_has_the_keys_of_its_json_line_and_money_is_decimal(bot: WiredBot, tables: dict[str, Any]) -> None:
    expected = [
        order_line("", change, paper=False) | {"number": number}
        for number, decision in enumerate(bot.decisions, 1)
        for change in decision.order_changes
    ]
    rows = listed(tables["orders"])
    for row, line in zip(rows, expected, strict=True):
        assert row.keys() == line.keys() - {"type"}
        for key in line.keys() - {"type", "time", "margin_before", "margin_after"}:
            assert row[key] == line[key], key
        assert isinstance(row["margin_after"], Decimal)
        assert float(row["margin_after"]) == pytest.approx(line["margin_after"], rel=1e-9)
    assert {row["state"] for row in rows} >= {"sent", "filled"}


def test_a_deal_has_a_side_and_what_it_cost_against_the_mid_it_was_decided_at(
    bot: WiredBot, tables: dict[str, Any]
) -> None:
    deals = [counted for decision in bot.decisions for counted in decision.deals]
    rows = listed(tables["deals"])
    for row, counted in zip(rows, deals, strict=True):
        deal, mid = counted.deal, counted.decision_mid
        assert mid is not None
        assert (row["deal_id"], row["executed"], row["price"]) == (deal.deal_id, deal.executed_ns, deal.price)
        assert row["volume_cents"] * (1 if row["side"] == "buy" else -1) == deal.volume_cents
        assert row["commission"] == deal.commission and isinstance(row["commission"], Decimal)
        cost = deal.price - mid if row["side"] == "buy" else mid - deal.price
        assert row["realised_slippage_bps"] == pytest.approx(1e4 * cost / mid)


def test_one_symbol_is_that_part_of_every_table(bot: WiredBot, tables: dict[str, Any], tmp_path: Path) -> None:
    of_one = exported(bot, tmp_path, symbol="USDJPY")
    for name in ("features", "decisions", "orders", "deals"):
        whole = [row for row in listed(tables[name]) if row["symbol"] == "USDJPY"]
        assert repr(listed(of_one[name])) == repr(whole)
    for name in ("quotes", "book"):
        whole = [row for row in listed(tables[name]) if row.pop("symbol") == "USDJPY"]
        assert whole
        for number, row in enumerate(whole if name == "book" else []):
            row["seq"] = number
        assert repr(listed(of_one[name])) == repr(whole)


def test_memory_stays_flat_because_row_groups_are_bounded(
    bot: WiredBot, tables: dict[str, Any], tmp_path: Path
) -> None:
    most = dict.fromkeys(MOST_ROWS, 7)
    small = exported(bot, tmp_path, most_rows=most)
    for name, table in small.items():
        assert repr(listed(table)) == repr(listed(tables[name]))
        file = pq.ParquetFile(tmp_path / f"{name}.parquet")
        groups = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        assert max(groups) <= 8  # a Decision of two symbols is not cut
        assert len(groups) >= table.num_rows // 8


# -- the market ------------------------------------------------------------------------------------------------------


def market_messages(path: Path) -> Iterator[tuple[int, str, Any]]:
    """Yield (receive time, kind, message) of a journal's market data, read the protobuf way."""
    with JournalReader(path) as reader:
        for record in reader:
            if record.kind is RecordKind.BATCH:
                for frame in decode_batch(record.payload):
                    wrapper = message("ProtoMessage").FromString(frame)
                    if wrapper.payloadType in (2131, 2155):
                        cls: Any = message_for(wrapper.payloadType)
                        yield (
                            record.ns,
                            "spot" if wrapper.payloadType == 2131 else "depth",
                            cls.FromString(wrapper.payload),
                        )


def ladder(quotes: dict[int, tuple[bool, int, int]], *, bids: bool) -> list[tuple[int, int]]:
    """Return the best 20 levels of a plain book, price and size."""
    levels: dict[int, int] = {}
    for is_bid, price, size in quotes.values():
        if is_bid == bids:
            levels[price] = levels.get(price, 0) + size
    return sorted(levels.items(), reverse=bids)[:20]


def test_quotes_and_books_are_those_of_the_frames_and_play_as_a_market(bot: WiredBot, tmp_path: Path) -> None:
    files = exported(bot, tmp_path, "quotes", "book", symbol="EURUSD")
    quotes, book = files["quotes"], files["book"]
    assert quotes.column_names == ["ts_us", "bid", "ask"]
    assert book.column_names[:3] == ["seq", "ts_recv_ns", "ts_exch_ms"] and book.num_columns == 83
    assert quotes.schema.metadata[b"symbol"] == book.schema.metadata[b"symbol"] == b"EURUSD"

    spots: list[tuple[int, float, float]] = []
    bid = ask = 0
    plain: dict[int, tuple[bool, int, int]] = {}
    books: list[tuple[int, list[tuple[int, int]], list[tuple[int, int]]]] = []
    for ns, kind, told in market_messages(bot.journal_path):
        if told.symbolId != 1:
            continue
        if kind == "spot":
            bid, ask = told.bid or bid, told.ask or ask
            quote = (ns // 1000, bid / 100_000, ask / 100_000)
            if bid and ask and (not spots or spots[-1][1:] != quote[1:]):
                spots.append(quote)
            continue
        for quote_id in told.deletedQuotes:
            plain.pop(quote_id, None)
        for each in told.newQuotes:
            plain[each.id] = (each.HasField("bid"), each.bid or each.ask, each.size)
        books.append((ns, ladder(plain, bids=True), ladder(plain, bids=False)))

    assert [tuple(row.values()) for row in quotes.to_pylist()] == spots
    rows = book.to_pylist()
    assert [row["ts_recv_ns"] for row in rows] == [ns for ns, _, _ in books]
    assert [row["seq"] for row in rows] == list(range(len(books)))
    for row, (_, bids, asks) in zip(rows, books, strict=True):
        for side, levels in (("b", bids), ("a", asks)):
            for level in range(20):
                price, size = levels[level] if level < len(levels) else (np.nan, np.nan)
                np.testing.assert_array_equal(
                    (row[f"{side}p{level}"], row[f"{side}q{level}"]), (price / 1e5, size / 100)
                )

    played = open_recording(str(tmp_path / "quotes.parquet"))
    assert (played.spec.name, played.spec.digits) == ("EURUSD", 5)
    moves = list(played.changes(START, 1.0))
    assert len(moves) == len(spots)
    played = open_recording(str(tmp_path / "book.parquet"))
    assert (played.spec.name, played.description) == ("EURUSD", "recorded depth (20 levels)")
    replayed: dict[int, tuple[bool, int, int]] = {}
    for change in played.changes(START, 1.0):
        for quote_id in change.deleted:
            replayed.pop(quote_id)
        replayed |= {q.quote_id: (q.is_bid, q.price_e5, q.size_cents) for q in change.new}
    assert [ladder(replayed, bids=side) for side in (True, False)] == [*books[-1][1:]]


def test_several_symbols_in_one_file_are_no_market(bot: WiredBot, tmp_path: Path) -> None:
    quotes = exported(bot, tmp_path, "quotes")["quotes"]
    assert {"EURUSD", "USDJPY"} <= set(quotes["symbol"].to_pylist())
    assert quotes.column_names == ["ts_us", "symbol", "bid", "ask"]
    text = r"quotes.parquet holds several symbols \(EURUSD, .*USDJPY\), and .* is of one: export it with --symbol"
    with pytest.raises(ValueError, match=text):
        open_recording(str(tmp_path / "quotes.parquet"))


def test_a_table_that_is_no_market_says_what_it_holds(bot: WiredBot, tmp_path: Path) -> None:
    exported(bot, tmp_path, "decisions", symbol="EURUSD")
    with pytest.raises(ValueError, match=r"decisions.parquet holds the decisions of a run, no market: export"):
        open_recording(str(tmp_path / "decisions.parquet"))


def test_messages_of_one_batch_have_a_row_each_and_tables_grow_between() -> None:
    quotes, books = QuoteRows(), BookRows(10)
    market = MarketRows(quotes, books, None)
    market.hear(ev.SymbolsLoaded(0, default_symbols()[:2], 2, {}, {}))
    levels = [(DEPTH_BID, 1, i + 1, 100_000 - i, 100 * i + 100) for i in range(300)]
    rows = [
        *levels, (END_DEPTH, 1, 0, 0, 0),
        (DEPTH_ASK, 1, 1000, 100_001, 500), (END_DEPTH, 1, 0, 0, 0),
        (SPOT_BID, 1, 0, 100_000, 0), (END_SPOT, 1, 0, 0, 0),
        (SPOT_ASK, 1, 0, 100_001, 0), (END_SPOT, 1, 0, 0, 0),
    ]  # fmt: skip
    market.hear(ev.MarketDataChanged(5_000, delta_rows(rows)))
    schema = schema_of(columns_of("book"), {})
    first, second = books.batch(schema).to_pylist()
    assert np.isnan(first["ap0"]) and second["ap0"] == 1.00001 and second["aq0"] == 5.0
    assert (first["bp0"], first["bp19"], first["bq19"], first["symbol"]) == (1.0, 0.99981, 20.0, "USDJPY")
    assert len(quotes) == 1  # not before both sides are known


def test_a_lost_link_empties_the_books_and_new_symbols_keep_those_of_the_old() -> None:
    specs = default_symbols()
    quotes, books = QuoteRows(), BookRows(10)
    market = MarketRows(quotes, books, None)
    market.hear(ev.SymbolsLoaded(0, specs[:1], 1, {}, {}))
    spot = [(SPOT_BID, 0, 0, 100_000, 0), (SPOT_ASK, 0, 0, 100_002, 0), (END_SPOT, 0, 0, 0, 0)]
    depth = [(DEPTH_BID, 0, 7, 100_000, 300), (END_DEPTH, 0, 0, 0, 0)]
    market.hear(ev.MarketDataChanged(1_000, delta_rows([*spot, *depth, *spot])))
    # The same symbol in another place.
    market.hear(ev.SymbolsLoaded(2_000, (specs[1], specs[0]), 1, {}, {}))
    moved = [(kind, 1, *rest) for kind, _, *rest in [*spot, (DEPTH_ASK, 0, 8, 100_002, 400), (END_DEPTH, 0, 0, 0, 0)]]
    market.hear(ev.MarketDataChanged(3_000, delta_rows(moved)))
    assert len(quotes) == 1  # the quote has not changed
    market.hear(ev.ReadinessChanged(4_000, ("disconnected",)))
    market.hear(ev.MarketDataChanged(5_000, delta_rows(moved)))
    assert [row["ts_us"] for row in quotes.batch(schema_of(columns_of("quotes"), {})).to_pylist()] == [1, 5]
    rows = books.batch(schema_of(columns_of("book"), {})).to_pylist()
    assert [(row["bp0"], row["ap0"]) for row in rows[:2]] == [(1.0, pytest.approx(np.nan, nan_ok=True)), (1.0, 1.00002)]
    assert np.isnan(rows[2]["bp0"]) and rows[2]["ap0"] == 1.00002


def test_a_file_of_ours_is_a_market_under_any_name_and_others_tell_by_theirs(tmp_path: Path) -> None:
    columns = columns_of("quotes", with_symbol=False)
    for facts, symbol in (
        ({"software": "microlev", "symbol": "XAUUSD", "digits": "2"}, "XAUUSD"),
        ({"symbol": "X"}, ""),
    ):
        path = tmp_path / f"any{symbol}.parquet"
        file = TableFile(path, schema_of(columns, facts), force=False)
        file.write(_one_quote(file.schema))
        file.close({})
        file.publish()
        if symbol:
            spec = open_recording(str(path)).spec
            assert (spec.name, spec.digits, spec.base_asset) == ("XAUUSD", 2, "XAU")
        else:
            with pytest.raises(ValueError, match="cannot tell the symbol"):
                open_recording(str(path))


def test_a_flipped_byte_is_told_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "EURUSD.parquet"
    facts = {"software": "microlev", "symbol": "EURUSD", "digits": "5"}
    file = TableFile(path, schema_of(columns_of("quotes", with_symbol=False), facts), force=False)
    file.write(_one_quote(file.schema))
    file.close({})
    file.publish()
    content = bytearray(path.read_bytes())
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(1)
    page_end = chunk.dictionary_page_offset + chunk.total_compressed_size
    content[page_end - 1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"EURUSD.parquet is corrupt: .*(CRC|checksum)") as error:
        open_recording(str(path))
    assert "\n" not in str(error.value)


def _one_quote(schema: Any) -> Any:
    rows = QuoteRows()
    rows.add(1_000, "XAUUSD", 1300.5, 1300.7)
    return rows.batch(schema)


# -- files -----------------------------------------------------------------------------------------------------------


def test_a_file_appears_when_it_is_whole_is_private_and_none_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    schema = schema_of(columns_of("quotes", with_symbol=False), {})
    file = TableFile(path, schema, force=False)
    file.write(_one_quote(schema))
    assert not path.exists()
    file.close({"torn_at": "7"})
    path.write_text("somebody's")
    with pytest.raises(ExportError, match=r"q\.parquet exists; --force replaces it"):
        file.publish()
    assert path.read_text() == "somebody's"
    path.unlink()
    file.publish()
    assert path.stat().st_mode & 0o777 == 0o600
    assert pq.ParquetFile(path).metadata.metadata[b"torn_at"] == b"7"
    abandoned = TableFile(tmp_path / "other.parquet", schema, force=False)
    abandoned.write(_one_quote(schema))
    abandoned.abandon()
    assert [each.name for each in tmp_path.iterdir()] == ["q.parquet"]
    for place, text in ((tmp_path, "is a folder"), (tmp_path / "no" / "a.parquet", "there is no folder")):
        with pytest.raises(ExportError, match=text):
            TableFile(place, schema, force=True)


def test_money_of_too_many_digits_is_an_error_in_one_line(bot: WiredBot, tmp_path: Path) -> None:
    export = Export({"deals": tmp_path / "d.parquet"})
    export.watch(bot.run.engine, is_paper=False)
    decision = next(d for d in bot.decisions if d.deals)
    counted = decision.deals[0]
    odd = replace(counted, deal=replace(counted.deal, commission=Decimal("0.12345678901")))
    export.decided(replace(decision, deals=(odd,)))
    with pytest.raises(ExportError, match="the table deals cannot hold a row"):
        export.finish({})
    export.abandon()
    assert list(tmp_path.iterdir()) == []


# -- the document ----------------------------------------------------------------------------------------------------


def documented(name: str, heading: str | None) -> list[tuple[str, ...]]:
    """Return the cells of the table under a heading of a document."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    if heading is not None:
        text = re.split(r"^## ", text.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return [tuple(cell.strip().strip("`") for cell in row) for row in rows]


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_documented_with_its_type_unit_and_meaning(table: str) -> None:
    expected: list[tuple[str, ...]] = []
    for column in columns_of(table, factor_names=("NAME",)):
        name, kind = (
            column.name,
            "list of struct" if REFUSAL in (column.kind, *_inner(column.kind)) else str(column.kind),
        )
        if table == "book" and (match := re.fullmatch(r"([ab][pq])(\d+)", name)):
            name = f"{match[1]}0..19"
        if (name, kind, column.unit, column.meaning) not in expected:
            expected.append((name, kind, column.unit, column.meaning))
    if table == "features":
        of_features = {row[0]: row[1] for row in documented("features.md", None)}
        assert expected[3:] == [(name, "double", of_features[name], meaning) for name, meaning in FIELDS]
        expected = expected[:3]
    assert documented("export.md", table) == expected


def _inner(kind: Any) -> tuple[Any, ...]:
    return (kind.value_type,) if hasattr(kind, "value_type") else ()


def test_a_column_carries_its_unit_and_meaning() -> None:
    field = schema_of(columns_of("features"), {}).field("obi_z")
    assert field.metadata[b"unit"] == b"deviations" and b"standard deviations" in field.metadata[b"meaning"]
