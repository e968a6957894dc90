"""Recordings as markets: opens a parquet file, tells its layout, and streams it in batches.

The one place in `sim` that reads files. pyarrow is imported only here and only when a recording is asked for.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bot.market.symbols import SymbolSpec
from bot.sim import playback, shape
from bot.sim.change import Change
from bot.sim.day_files import day_file_of, symbol_in
from bot.sim.listing import (
    CLASS_NAMES,
    CRYPTO,
    EQUITIES,
    FX,
    INDICES,
    METALS,
    class_in,
    pair_in,
    recorded_symbol,
)
from bot.sim.recorded_rows import Columns, RowCheck, check_types

_BATCH_ROWS = 8_192
_EVENTS = {"seq", "ts_recv_ns", "kind", "side", "price", "qty", "update_id"}
_BOOK20 = {"seq", "ts_recv_ns", *(f"{side}{what}{level}" for side in "ba" for what in "pq" for level in range(20))}
_TICKS = {"ts_us", "bid", "ask"}
_BEST_QUOTES = {"ts_us", "side", "px", "size", "venue", "suspicious"}
BEST_SIZE_CENTS = {FX: 100_000_000, METALS: 1_000_000, CRYPTO: 1_000, EQUITIES: 100_000, INDICES: 10_000}
"""Mean size at the best price of quotes without sizes, by asset class. Units: 0.01 base unit."""

SHAPE_FILE = "l2_binance_coinm_BTCUSD_PERP_book20.parquet"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded symbol: its specification, what kind of data it is, and its changes from a start time on."""

    spec: SymbolSpec
    description: str
    changes: Callable[[int, float], Iterator[Change]]


def open_parquet(path: Path) -> Any:
    """Return a parquet file that is open for reading; pages that have a checksum are verified when they are read.

    Raises: ValueError, one line naming the file, when it is missing, cut off or foreign.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise ValueError("recordings need pyarrow: pip install 'microlev[research]'") from None
    try:
        return pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise ValueError(f"no such recording: {path}") from None
    except (OSError, ValueError) as error:  # pyarrow's own errors derive from these
        raise ValueError(f"{path} is not a readable parquet file: {str(error).splitlines()[0]}") from None


def column_batches(path: Path, columns: set[str], batch_rows: int = _BATCH_ROWS) -> Iterator[Columns]:
    """Yield the named columns of a file batch by batch, as numpy arrays of one length, at least 1.

    Raises: ValueError naming the file when it is missing or foreign, or turns out to be corrupt further on, or to hold
        what no market has (`bot.sim.recorded_rows`).
    """
    file = open_parquet(path)
    if not file.metadata.num_rows:
        return
    check_types(path, file.schema_arrow, columns)
    batches, check = file.iter_batches(batch_size=batch_rows, columns=sorted(columns)), RowCheck(path)
    while True:
        try:
            batch = next(batches, None)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} is corrupt: {str(error).splitlines()[0]}") from None
        if batch is None:
            return
        if batch.num_rows:
            yield check.columns(batch)


def column_names(path: Path) -> set[str]:
    """Return the names of a file's columns. Raises: ValueError as `column_batches`."""
    return set(open_parquet(path).schema_arrow.names)


def column_span(path: Path, name: str) -> tuple[int, int]:
    """Return the least and the largest of a column of integers, from the file's statistics.

    Raises: ValueError for a file without rows, or without statistics.
    """
    spans = _statistics(open_parquet(path), name)
    if not spans:
        raise ValueError(f"{path} holds no rows")
    if any(span is None or not span.has_min_max for span in spans):
        raise ValueError(f"{path} holds no statistics of {name}")
    return min(span.min for span in spans), max(span.max for span in spans)


def _statistics(file: Any, name: str) -> list[Any]:
    """Return the statistics of a column, None where there are none, of each row group that has rows."""
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    # Not the place in the Arrow schema: a column of lists or structs is several of these.
    paths = [groups[0].column(i).path_in_schema for i in range(groups[0].num_columns)] if groups else []
    return [group.column(paths.index(name)).statistics for group in groups if group.num_rows]


def has_rows(path: Path) -> bool:
    """Tell whether a file has any row: a day without ticks has none."""
    return int(open_parquet(path).metadata.num_rows) > 0


def _digits(prices: np.ndarray) -> int:
    """Return how many decimals a sample of prices needs, 5 at most."""
    prices = prices[np.isfinite(prices)]
    for digits in range(5):
        scaled = prices * 10**digits
        if np.all(np.abs(scaled - np.rint(scaled)) < 1e-6 * 10**digits):
            return digits
    return 5


def _named(path: Path, pattern: str, expected: str) -> str:
    match = re.search(pattern, path.name)
    if match is None:
        raise ValueError(f"cannot tell the symbol of {path.name}: expected a name like {expected}")
    return match.group(1)


def open_recording(source: str) -> Recording:
    """Return the recording in `source`, in one of the layouts `l2_*_events`, `l2_*_book20`, `fx_*`, `l1_*_quotes`.

    A folder of `fx_*` files, such as `microlev download` writes for a symbol, is one recording, in the order of its
    file names; a folder that has nothing but one such folder is that one.
    Raises: ValueError, one line naming the file and what was expected, when it is missing, corrupt or foreign.
    """
    path = Path(source)
    if path.is_dir():
        return _quotes(recorded_files(path))
    file = open_parquet(path)
    told, names = _told_symbol(path, file), set(file.schema_arrow.names)
    if names >= _TICKS:
        return _quotes([path])
    for columns, opened in ((_EVENTS, _events), (_BOOK20, _book20), (_BEST_QUOTES, _best_quotes)):
        if columns <= names:
            first = next(column_batches(path, columns), None)
            if first is None:
                raise ValueError(f"{path} holds no rows")
            return opened(path, columns, first, told)
    raise ValueError(
        f"{path} is no known recording: expected the columns of l2_*_events ({', '.join(sorted(_EVENTS))}), "
        f"l2_*_book20 (bp0..aq19), fx_* (ts_us, bid, ask) or l1_*_quotes (ts_us, side, px, size, …)"
    )


class _Told(NamedTuple):
    """The symbol that a file names within, and its digits; None of a file whose name has to tell."""

    name: str | None
    digits: int | None


def _told_symbol(path: Path, file: Any) -> _Told:
    """Return what a parquet file says of its symbol: its metadata, if it is one of ours, or its column `symbol`.

    Raises: ValueError for a file of several symbols, and for a table of ours that is no market.
    """
    metadata = file.schema_arrow.metadata or {}
    is_ours = metadata.get(b"software") == b"microlev"
    table = metadata.get(b"table", b"quotes").decode()
    if is_ours and table not in ("quotes", "book"):
        raise ValueError(f"{path} holds the {table} of a run, no market: export its quotes or its book (--table)")
    symbols = _symbols_in(path, file) if "symbol" in file.schema_arrow.names else []
    if len(symbols) > 1:
        how = "export it with --symbol" if is_ours else "split it"
        raise ValueError(f"{path} holds several symbols ({', '.join(symbols)}), and a recording is of one: {how}")
    if not is_ours or b"symbol" not in metadata:
        return _Told(symbols[0] if symbols else None, None)
    digits = metadata.get(b"digits", b"")
    return _Told(metadata[b"symbol"].decode(), int(digits) if digits.isdigit() else None)


def _symbols_in(path: Path, file: Any) -> list[str]:
    """Return what the column `symbol` holds, one or some of several: by the statistics where they prove it."""
    spans = _statistics(file, "symbol")
    if all(span is not None and span.has_min_max and span.has_null_count and not span.null_count for span in spans):
        found = {end for span in spans for end in (span.min, span.max)}
    else:
        found = {symbol for batch in column_batches(path, {"symbol"}) for symbol in batch["symbol"].tolist()}
    return sorted(symbol.decode() if isinstance(symbol, bytes) else str(symbol) for symbol in found)


def _events(path: Path, columns: set[str], first: Columns, told: _Told) -> Recording:
    spec = recorded_symbol("BTCUSD", _digits(first["price"]), CRYPTO)
    return Recording(
        spec,
        "recorded depth",
        lambda start_ns, speed: playback.depth_events(
            column_batches(path, columns), spec.symbol_id, playback.Clock(start_ns, speed)
        ),
    )


def _book20(path: Path, columns: set[str], first: Columns, told: _Told) -> Recording:
    prices = np.concatenate([first[f"{side}p{level}"] for side in "ba" for level in range(20)])
    name = told.name or "BTCUSD"
    spec = recorded_symbol(name, max(_digits(prices), told.digits or 0), class_in(name)[0])
    return Recording(
        spec,
        f"recorded depth (20 levels){_guess_note(name)}",
        lambda start_ns, speed: playback.snapshots(
            column_batches(path, columns), spec.symbol_id, playback.Clock(start_ns, speed)
        ),
    )


def is_recording(source: str) -> bool:
    """Tell whether a source names a recording: a parquet file or a folder, whether it is there or not."""
    return source.endswith((".parquet", "/")) or Path(source).is_dir()


def recorded_files(path: Path) -> list[Path]:
    """Return the files of a recording: itself, or those of a folder of one symbol's days, in the order of their names.

    Raises: ValueError for a folder without files, or of several symbols.
    """
    if not path.is_dir():
        return [path]
    folder = path
    # Shapes of depth may lie beside days of ticks, as beside a single file of them.
    files = sorted(file for file in folder.glob("*.parquet") if file.name != SHAPE_FILE)
    if files:
        return files
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and any(path.glob("*.parquet")))
    if not folders:
        raise ValueError(f"{folder} holds no .parquet files")
    if len(folders) > 1:
        raise ValueError(f"{folder} holds several symbols; name one: {', '.join(map(str, folders))}")
    return recorded_files(folders[0])


def _described(path: Path) -> tuple[str, int | None]:
    """Return the symbol of a file of quotes, and its digits where the metadata say them."""
    file = open_parquet(path)
    schema = file.schema_arrow
    if not set(schema.names) >= _TICKS:
        raise ValueError(f"{path} is not in the layout fx_* ({', '.join(sorted(_TICKS))}), as the others beside it")
    if file.metadata.num_rows:
        check_types(path, schema, _TICKS)
    day = day_file_of(schema.metadata)
    told = _told_symbol(path, file)
    name = day.symbol if day is not None else told.name or symbol_in(path.name)
    if name is None:
        expected = "fx_fxcm_EURUSD_2014-05.parquet or EURUSD_2026-01-05.parquet"
        raise ValueError(f"cannot tell the symbol of {path.name}: expected a name like {expected}")
    return name, told.digits if day is None else day.digits


def best_size_cents(spec: SymbolSpec) -> int:
    """Return the mean size at the best price of a recorded symbol whose quotes have none. Units: 0.01 base unit."""
    if spec.leverage_id == CRYPTO:  # ten lots, however many coins those are
        return 10 * spec.lot_size_cents
    return BEST_SIZE_CENTS[spec.leverage_id or FX]


def _guess_note(name: str) -> str:
    group, is_guess = class_in(name)
    return f", taken for {CLASS_NAMES[group]} by a guess" if is_guess else ""


def _quotes(paths: Sequence[Path]) -> Recording:
    """Return files of quotes of one symbol, one after the other, as one recording."""
    (name, digits), *others = [_described(path) for path in paths]
    for path, (other, _) in zip(paths[1:], others, strict=True):
        if other != name:
            raise ValueError(f"{path} is of {other}, and {paths[0].name} beside it of {name}: name one symbol's folder")
    first = next(columns_in_order(paths), None)
    if first is None:
        raise ValueError(f"{paths[0] if len(paths) == 1 else paths[0].parent} holds no rows")
    group, _ = class_in(name)
    if digits is None:
        digits = _digits(np.concatenate([first["bid"], first["ask"]]))
        _, quote = pair_in(name) or ("", name[3:])
        digits = max(digits, 3 if quote == "JPY" else 5) if group == FX else digits
    spec = recorded_symbol(name, digits, group, float(np.median(first["bid"])))
    beside = paths[0].with_name(SHAPE_FILE)

    def shapes() -> Iterator[shape.Shape]:
        if beside.is_file():
            return shape.recorded_shapes(lambda: column_batches(beside, _BOOK20))
        return shape.built_in_shapes()

    days = "" if len(paths) == 1 else f" of {len(paths)} days"
    return Recording(
        spec,
        f"recorded quotes{days}, semi-synthetic depth{_guess_note(name)}",
        lambda start_ns, speed: shape.ticks(
            columns_in_order(paths), spec, shapes(), best_size_cents(spec), playback.Clock(start_ns, speed)
        ),
    )


def columns_in_order(paths: Sequence[Path]) -> Iterator[Columns]:
    """Yield the rows of one file after the other; they are opened when their turn comes.

    Raises: ValueError for a file that begins before the end of the one before it.
    """
    last_us: int | None = None
    for path in paths:
        for number, batch in enumerate(column_batches(path, _TICKS)):
            if number == 0 and last_us is not None and batch["ts_us"][0] < last_us:
                raise ValueError(f"{path} begins before the file before it ends: its name is not in order of time")
            yield batch
            last_us = int(batch["ts_us"][-1])


def _best_quotes(path: Path, columns: set[str], first: Columns, told: _Told) -> Recording:
    name = told.name or _named(path, r"_([A-Z.]{1,6})_", "l1_usequity_BAC_2013-10_quotes.parquet")
    spec = recorded_symbol(name, max(2, _digits(first["px"])), EQUITIES)
    return Recording(
        spec,
        "recorded best quotes, one level a side",
        lambda start_ns, speed: playback.best_quotes(
            column_batches(path, columns), spec.symbol_id, playback.Clock(start_ns, speed)
        ),
    )
