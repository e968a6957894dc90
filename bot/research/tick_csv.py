"""Ticks of a CSV file as a recording: streamed, checked line by line, in the layout of spot quotes.

How it works: pyarrow cuts the file into blocks of text columns; times and prices of a block are read at once. A line
that cannot be read is left out and counted, and the first one told; a time before the one above it ends the import,
because a recording that jumps back is none. An empty bid or ask is one that has not changed, as MetaTrader writes them.
"""

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from bot.research.tick_layout import Layout, TickFileError, tell_layout
from bot.research.tick_symbol import SymbolLines
from bot.research.tick_time import stamps_ns

_SAMPLE_BYTES, _SAMPLE_LINES = 1 << 16, 200
BLOCK_BYTES = 1 << 23
MOST_BAD_FRAC = 0.01


@dataclass(slots=True)
class Counts:
    """What was found. `first_bad` is the first line that could not be read and why; lines count from 1."""

    good: int = 0
    bad: int = 0
    incomplete: int = 0  # before both sides had a price
    crossed: int = 0
    other: int = 0  # of other symbols
    first_bad: tuple[int, str] | None = None

    def note(self, line: int, why: str, count: int = 1) -> None:
        """Count lines that cannot be read, the first of which is `line`."""
        self.bad += count
        if self.first_bad is None or line < self.first_bad[0]:
            self.first_bad = line, why


class TickFile:
    """A CSV file of ticks, read once. `counts` grows with `quotes`; `bytes_read` says how far that has come."""

    def __init__(self, path: Path, symbol: str | None = None) -> None:
        """Take a file; with `symbol` its lines only, where a column names one.

        Raises: TickFileError when it cannot be opened.
        """
        self.path, self.symbol, self.counts = path, symbol, Counts()
        self.symbols = None if symbol is None else SymbolLines(symbol)
        try:
            self._file = path.open("rb")
            self.bytes_total = path.stat().st_size
        except OSError as error:
            raise TickFileError(f"cannot read {path}: {error.strerror}") from None
        self._skipped: list[int] = []
        self._encoding = "utf8"

    @property
    def bytes_read(self) -> int:
        """How far reading has come in the file, compressed as it may be."""
        return 0 if self._file.closed else self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def tell_layout(self, **given: Any) -> Layout:
        """Return the layout; `given` as of `bot.research.tick_layout.tell_layout`. Raises: TickFileError."""
        try:
            with self.path.open("rb") as file:
                content = self._unpacked(file).read(_SAMPLE_BYTES)
        except OSError as error:
            raise TickFileError(f"cannot read {self.path}: {str(error).splitlines()[0]}") from None
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._encoding = "utf-16"
        lines = content.decode("utf-8-sig" if self._encoding == "utf8" else self._encoding, "replace").splitlines()
        if len(content) >= _SAMPLE_BYTES // 2:
            lines = lines[:-1]  # the last may be cut
        try:
            return tell_layout(lines[:_SAMPLE_LINES], symbol=self.symbol, **given)
        except TickFileError as error:
            raise TickFileError(f"{self.path} {error}") from None

    def quotes(
        self, layout: Layout, zone: tzinfo, block_bytes: int = BLOCK_BYTES
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield (ts_us, bid, ask), (N,) each, block by block.

        Raises: TickFileError for a time before the one above it, and for what is no text.
        """
        last = (0, np.nan, np.nan)
        row = layout.first_line
        for batch in self._batches(layout, block_bytes):
            last, taken = self._block(batch, layout, zone, last, row)
            row += batch.num_rows
            if len(taken[0]):
                yield taken

    def _unpacked(self, file: BinaryIO) -> Any:
        compression = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}.get(self.path.suffix.lower())
        return file if compression is None else pa.CompressedInputStream(pa.PythonFile(file), compression)

    def _batches(self, layout: Layout, block_bytes: int) -> Iterator[pa.RecordBatch]:
        names = [str(i) for i in range(layout.width)]
        wanted = [*layout.time, layout.bid, layout.ask]
        if self.symbols is not None and layout.symbol is not None:
            wanted.append(layout.symbol)
        try:
            reader = pyarrow.csv.open_csv(
                self._unpacked(self._file),
                read_options=pyarrow.csv.ReadOptions(
                    use_threads=False,
                    block_size=block_bytes,
                    column_names=names,
                    skip_rows=layout.first_line,
                    encoding=self._encoding,
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=layout.delimiter, invalid_row_handler=self._skip, ignore_empty_lines=False
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    include_columns=[str(i) for i in wanted],
                    strings_can_be_null=False,
                ),
            )
            yield from reader
        except (pa.ArrowInvalid, OSError) as error:
            raise TickFileError(f"{self.path} cannot be read: {str(error).splitlines()[0]}") from None

    def _skip(self, row: Any) -> str:
        self._skipped.append(row.number)
        if row.text.strip():
            self.counts.note(row.number, f"it has {row.actual_columns} columns, not {row.expected_columns}")
        return "skip"

    def _line(self, row: int) -> int:
        """Return the line of a row that was read, both from the top of the file; rows count from 0, lines from 1."""
        line = row + 1
        for skipped in self._skipped:
            if skipped > line:
                break
            line += 1
        return line

    def _block(
        self, batch: pa.RecordBatch, layout: Layout, zone: tzinfo, last: tuple[int, float, float], row: int
    ) -> tuple[tuple[int, float, float], tuple[np.ndarray, np.ndarray, np.ndarray]]:
        columns = [pc.utf8_trim_whitespace(column) for column in batch.columns]
        is_other = np.zeros(batch.num_rows, np.bool_)
        is_wanted = ~is_other
        if self.symbols is not None and layout.symbol is not None:
            try:
                is_wanted, is_other = self.symbols.among(columns.pop())
            except ValueError as error:
                raise TickFileError(f"{self.path} {error}") from None
            self.counts.other += int(is_other.sum())
        stamp = columns[0] if len(layout.time) == 1 else pc.binary_join_element_wise(columns[0], columns[1], " ")
        ns, is_time = stamps_ns(stamp, layout.form, zone)
        sides = [_prices(column, layout.has_decimal_comma) for column in columns[-2:]]
        good = is_time & sides[0][1] & sides[1][1] & is_wanted
        if not good.all():
            is_blank = np.logical_and.reduce([np.asarray(pc.equal(column, "")) for column in columns])
            bad = np.flatnonzero(~good & ~is_blank & ~is_other)
            if len(bad):
                self._note_bad(bad, columns, stamp, is_time, sides, row)
        rows = np.flatnonzero(good)
        if not len(rows):
            return last, (ns[:0], np.empty(0), np.empty(0))
        us = ns[rows] // 1000
        back = np.flatnonzero(np.diff(us, prepend=last[0]) < 0)
        if len(back):
            i = int(rows[back[0]])
            text = f"its time {stamp[i].as_py()!r} is before that of the line above; sort the file"
            raise TickFileError(f"{self.path} line {self._line(row + i)}: {text}")
        bid, ask = (_filled(prices[rows], before) for (prices, _), before in zip(sides, last[1:], strict=True))
        known = ~(np.isnan(bid) | np.isnan(ask))
        self.counts.incomplete += int((~known).sum())
        self.counts.good += int(known.sum())
        self.counts.crossed += int((bid[known] > ask[known]).sum())
        return (int(us[-1]), float(bid[-1]), float(ask[-1])), (us[known], bid[known], ask[known])

    def _note_bad(
        self, bad: np.ndarray, columns: list[Any], stamp: Any, is_time: np.ndarray, sides: list[Any], row: int
    ) -> None:
        i = int(bad[0])
        if not is_time[i]:
            why = f"{stamp[i].as_py()!r} is no time"
        elif sides[0][1][i] and sides[1][1][i]:
            why = "it names no symbol"
        else:
            side = int(sides[0][1][i])  # the bid is good: then it is the ask
            why = f"{columns[-2 + side][i].as_py()!r} is no price"
        self.counts.note(self._line(row + i), why, len(bad))


def _prices(text: Any, has_decimal_comma: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return prices, NaN where the cell is empty, and whether each is a price above 0 or empty."""
    if has_decimal_comma:
        text = pc.replace_substring(text, ",", ".")
    is_empty = np.asarray(pc.equal(text, ""))
    is_number = pc.match_substring_regex(text, r"^(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?$")
    prices = np.asarray(pc.if_else(is_number, text, None).cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    return prices, is_empty | (prices > 0)


def _filled(prices: np.ndarray, before: float) -> np.ndarray:
    """Return prices with every gap filled by the last price above it; `before` is that of the block before."""
    known = np.flatnonzero(~np.isnan(prices))
    if len(known) == len(prices):
        return prices
    whole = np.concatenate([[before], prices])
    places = np.where(np.isnan(whole), 0, np.arange(len(whole)))
    return whole[np.maximum.accumulate(places)][1:]


def quote_batch(schema: pa.Schema, ts_us: np.ndarray, bid: np.ndarray, ask: np.ndarray) -> pa.RecordBatch:
    """Return quotes of one symbol as rows. Shapes: (N,) each."""
    return pa.RecordBatch.from_pydict({"ts_us": ts_us, "bid": bid, "ask": ask}, schema=schema)


def import_ticks(
    file: TickFile,
    layout: Layout,
    zone: tzinfo,
    write: Callable[[np.ndarray, np.ndarray, np.ndarray], None],
    *,
    forgiving: bool = False,
) -> Counts:
    """Give every quote of a file to `write`, block by block, and return what was found.

    Args: `forgiving` takes a file of which more than a hundredth cannot be read.
    Raises: TickFileError also when nothing can be read, or too little.
    """
    for block in file.quotes(layout, zone):
        write(*block)
    counts = file.counts
    first = "" if counts.first_bad is None else f"; the first is line {counts.first_bad[0]}: {counts.first_bad[1]}"
    if not counts.good and not counts.bad and file.symbols is not None and file.symbols.others:
        raise TickFileError(f"{file.path} holds no line of {file.symbol}; it has: {', '.join(file.symbols.others)}")
    if not counts.good:
        raise TickFileError(f"{file.path} holds no quote that can be read{first}")
    total = counts.good + counts.bad + counts.incomplete
    if counts.bad > MOST_BAD_FRAC * total and not forgiving:
        text = f"{counts.bad} of {total} lines cannot be read, more than 1 %{first}; --force leaves them out"
        raise TickFileError(f"{file.path}: {text}")
    return counts
