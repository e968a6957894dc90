"""Recordings as markets: opens a parquet file, tells its layout, and streams it in batches.

The one place in `sim` that reads files. pyarrow is imported only here and only when a recording is asked for.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bot.market.symbols import SymbolSpec
from bot.sim import playback, shape
from bot.sim.change import Change
from bot.sim.listing import CRYPTO, EQUITIES, FX, INDICES, METALS, recorded_symbol

Columns = dict[str, np.ndarray]

_BATCH_ROWS = 8_192
_EVENTS = {"seq", "ts_recv_ns", "kind", "side", "price", "qty", "update_id"}
_BOOK20 = {"seq", "ts_recv_ns", *(f"{side}{what}{level}" for side in "ba" for what in "pq" for level in range(20))}
_TICKS = {"ts_us", "bid", "ask"}
_BEST_QUOTES = {"ts_us", "side", "px", "size", "venue", "suspicious"}
# Mean size at the best price of made-up depth, 0.01 unit: a million of a currency, some lots of the rest.
_BEST_SIZE_CENTS = {FX: 100_000_000, METALS: 1_000_000, CRYPTO: 100, INDICES: 1_000, EQUITIES: 100_000}
_SHAPE_FILE = "l2_binance_coinm_BTCUSD_PERP_book20.parquet"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded symbol: its specification, what kind of data it is, and its changes from a start time on."""

    spec: SymbolSpec
    description: str
    changes: Callable[[int, float], Iterator[Change]]


def _parquet(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise ValueError("recordings need pyarrow: pip install 'microlev[research]'") from None
    try:
        return pyarrow.parquet.ParquetFile(path)
    except FileNotFoundError:
        raise ValueError(f"no such recording: {path}") from None
    except (OSError, ValueError) as error:  # pyarrow's own errors derive from these
        raise ValueError(f"{path} is not a readable parquet file: {str(error).splitlines()[0]}") from None


def column_batches(path: Path, columns: set[str], batch_rows: int = _BATCH_ROWS) -> Iterator[Columns]:
    """Yield the named columns of a file batch by batch, as numpy arrays of one length.

    Raises: ValueError naming the file when it is missing or foreign, or turns out to be corrupt further on.
    """
    file = _parquet(path)
    try:
        for batch in file.iter_batches(batch_size=batch_rows, columns=sorted(columns)):
            yield {name: batch.column(name).to_numpy(zero_copy_only=False) for name in batch.schema.names}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is corrupt: {str(error).splitlines()[0]}") from None


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

    Raises: ValueError, one line naming the file and what was expected, when it is missing, corrupt or foreign.
    """
    path = Path(source)
    file = _parquet(path)
    names = set(file.schema_arrow.names)
    if "symbol" in names:
        raise ValueError(f"{path} has a column for symbols, and a recording is of one: export it with --symbol")
    told = _told_symbol(file.schema_arrow.metadata or {})
    for columns, opened in ((_EVENTS, _events), (_BOOK20, _book20), (_TICKS, _ticks), (_BEST_QUOTES, _best_quotes)):
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
    """The symbol that a file of ours names, and its digits; None and 0 of others, whose names tell."""

    name: str | None
    digits: int

    @property
    def group(self) -> int:
        """The class of the symbol, by its name: the venue lists what it does not know as an index."""
        name = self.name or ""
        if name.startswith(("XAU", "XAG")):
            return METALS
        if name.startswith(("BTC", "ETH")):
            return CRYPTO
        return FX if re.fullmatch("[A-Z]{6}", name) else INDICES


def _told_symbol(metadata: dict[bytes, bytes]) -> _Told:
    if metadata.get(b"software") != b"microlev" or b"symbol" not in metadata:
        return _Told(None, 0)
    digits = metadata.get(b"digits", b"0")
    return _Told(metadata[b"symbol"].decode(), int(digits) if digits.isdigit() else 0)


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
    digits = max(_digits(prices), told.digits)
    spec = recorded_symbol(told.name or "BTCUSD", digits, told.group if told.name else CRYPTO)
    return Recording(
        spec,
        "recorded depth (20 levels)",
        lambda start_ns, speed: playback.snapshots(
            column_batches(path, columns), spec.symbol_id, playback.Clock(start_ns, speed)
        ),
    )


def _ticks(path: Path, columns: set[str], first: Columns, told: _Told) -> Recording:
    name = told.name or _named(path, r"_([A-Z]{6})_", "fx_fxcm_EURUSD_2014-05.parquet")
    metal = name.startswith(("XAU", "XAG"))
    group = told.group if told.name else METALS if metal else FX
    digits = max(_digits(np.concatenate([first["bid"], first["ask"]])), told.digits)
    if group == FX:
        digits = max(digits, 3 if name.endswith("JPY") else 5)
    spec = recorded_symbol(name, digits, group)
    beside = path.with_name(_SHAPE_FILE)

    def shapes() -> Iterator[shape.Shape]:
        if beside.is_file():
            return shape.recorded_shapes(lambda: column_batches(beside, _BOOK20))
        return shape.built_in_shapes()

    return Recording(
        spec,
        "recorded quotes, semi-synthetic depth",
        lambda start_ns, speed: shape.ticks(
            column_batches(path, columns),
            spec,
            shapes(),
            _BEST_SIZE_CENTS[group],
            playback.Clock(start_ns, speed),
        ),
    )


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
