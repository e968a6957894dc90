"""What the rows of a recording must be: whole numbers where they count, times that go on, prices that are prices.

The types are looked at once, when a file is opened; the rows batch by batch, as they are read. The messages of a book
have numbers for their order, and its players keep a receive clock from going back: only `ts_us` has to be in order.
"""

from pathlib import Path
from typing import Any

import numpy as np

Columns = dict[str, np.ndarray]

_TIMES = {"ts_us", "ts_recv_ns"}
_WHOLE = {*_TIMES, "seq", "kind", "side", "update_id"}
_PRICES = {"bid", "ask", "price", "px"}
_LEVEL_PRICES = {f"{side}p{level}" for side in "ba" for level in range(20)}
_IN_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST_S, _LAST_S = 631_152_000, 4_102_444_800
"""1990 and 2100: what is between them in one unit is years outside in every other."""
_NUMBERS = {*_PRICES, *_LEVEL_PRICES, "size", "qty", *(f"{side}q{level}" for side in "ba" for level in range(20))}


def check_types(path: Path, schema: Any, columns: set[str]) -> None:
    """Check the types of columns, by the schema (pyarrow) of their file.

    Raises: ValueError naming file, column, and the type that is there and the one that is wanted.
    """
    import pyarrow.types as kinds

    for name in sorted(columns.intersection(schema.names)):
        kind = schema.field(name).type
        if name in _WHOLE and not kinds.is_integer(kind):
            raise ValueError(f"{path}: column {name} is of type {kind}, and whole numbers (int64) are wanted")
        if name in _NUMBERS and not (kinds.is_integer(kind) or kinds.is_floating(kind)):
            raise ValueError(f"{path}: column {name} is of type {kind}, and numbers (float64) are wanted")


class RowCheck:
    """Turns the batches of one file into arrays and checks their rows; rows count from 1.

    Missing: NaN is allowed in prices of levels (fewer levels than columns), nowhere else.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._rows, self._last_time = path, 0, -(2**63)

    def columns(self, batch: Any) -> Columns:
        """Return a batch (pyarrow) as arrays, (N,) each, N at least 1: times int64, prices float64.

        Raises: ValueError naming file and row, for a time before the one above it or in another unit, a price that is
            none, and a number that is not there.
        """
        columns = {}
        for name in batch.schema.names:
            column = batch.column(name)
            if name in _WHOLE and column.null_count:
                row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
                raise ValueError(f"{self._place(row)} has no {name}")
            array = column.to_numpy(zero_copy_only=False)
            if name in _TIMES:
                array = array.astype(np.int64, copy=False)
                self._check_unit(name, array)
                if name == "ts_us":
                    self._check_times(array)
            elif name in _PRICES or name in _LEVEL_PRICES:
                array = array.astype(np.float64, copy=False)
                self._check_prices(name, array)
            columns[name] = array
        self._rows += batch.num_rows
        return columns

    def _check_unit(self, name: str, times: np.ndarray) -> None:
        own = name.rpartition("_")[2]
        for unit, in_a_second in _IN_A_SECOND.items():
            is_of_unit = (times >= _FIRST_S * in_a_second) & (times < _LAST_S * in_a_second)
            if unit != own and is_of_unit.any():
                row = int(np.argmax(is_of_unit))
                text = f"its {name} is {times[row]}, which would be a time in {unit}: write it in {own}"
                raise ValueError(f"{self._place(row)}: {text}")

    def _check_times(self, times: np.ndarray) -> None:
        if times[0] >= self._last_time and not (times[1:] < times[:-1]).any():
            self._last_time = int(times[-1])
            return
        before = np.concatenate([[self._last_time], times[:-1]])
        row = int(np.argmax(times < before))
        text = f"its ts_us goes back from {before[row]} to {times[row]}: sort the rows by time"
        raise ValueError(f"{self._place(row)}: {text}")

    def _check_prices(self, name: str, prices: np.ndarray) -> None:
        if prices.min() > 0 and prices.max() < np.inf:  # neither is so where there is a NaN
            return
        is_price = (prices > 0) & (prices < np.inf)
        if name in _LEVEL_PRICES:
            is_price |= np.isnan(prices)
        if not is_price.all():
            row = int(np.argmin(is_price))
            raise ValueError(f"{self._place(row)}: its {name} is {prices[row]:g}, and a price above 0 is wanted")

    def _place(self, row: int) -> str:
        return f"{self._path} row {self._rows + row + 1}"
