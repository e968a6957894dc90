"""Files of rows that no market has are refused in one line, wherever in the file they are."""

from pathlib import Path
from typing import Any

import pytest

from bot.sim.recording import column_batches, column_span, open_recording

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
np = pytest.importorskip("numpy")

COUNT = 300
TIMES = [1_000_000 * i for i in range(COUNT)]


def _quotes(path: Path, **changed: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    columns = {"ts_us": TIMES, "bid": [1.1] * COUNT, "ask": [1.2] * COUNT} | changed
    pq.write_table(pa.table(columns), path)
    return path


def _with(column: list[Any], row: int, cell: Any) -> list[Any]:
    """Return a column with another cell in a row, which counts from 1."""
    return [*column[: row - 1], cell, *column[row:]]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"bid": _with([1.1] * COUNT, 200, float("nan"))}, "row 200: its bid is nan, and a price above 0 is wanted"),
        ({"ask": _with([1.1] * COUNT, 200, float("inf"))}, "row 200: its ask is inf, and a price above 0 is wanted"),
        ({"bid": _with([1.1] * COUNT, 1, 0.0)}, "row 1: its bid is 0, and a price above 0 is wanted"),
        ({"bid": _with([1.1] * COUNT, 7, None)}, "row 7: its bid is nan, and a price above 0 is wanted"),
        ({"ts_us": _with(TIMES, 200, None)}, "row 200 has no ts_us"),
        # The first row of a batch of 100, and one within.
        ({"ts_us": _with(TIMES, 101, 5)}, "row 101: its ts_us goes back from 99000000 to 5: sort the rows by time"),
        ({"ts_us": _with(TIMES, 150, 5)}, "row 150: its ts_us goes back from 148000000 to 5: sort the rows by time"),
        (
            {"ts_us": pa.array(TIMES).cast(pa.timestamp("us"))},
            ": column ts_us is of type timestamp[us], and whole numbers (int64) are wanted",
        ),
        (
            {"ts_us": [float(time) for time in TIMES]},
            ": column ts_us is of type double, and whole numbers (int64) are wanted",
        ),
        ({"ask": ["1.2"] * COUNT}, ": column ask is of type string, and numbers (float64) are wanted"),
    ],
)
def test_rows_that_no_market_has_are_told_by_file_and_row(changed: dict[str, Any], text: str, tmp_path: Path) -> None:
    path = _quotes(tmp_path / "fx_x_EURUSD_y.parquet", **changed)
    with pytest.raises(ValueError, match=r"row|column") as error:
        list(column_batches(path, {"ts_us", "bid", "ask"}, 100))
    assert str(error.value) == f"{path}{'' if text.startswith(':') else ' '}{text}"
    with pytest.raises(ValueError, match=r"fx_x_EURUSD_y.parquet"):
        open_recording(str(path))  # the same where a market is opened


def test_every_file_of_a_folder_has_its_types_looked_at_when_it_is_opened(tmp_path: Path) -> None:
    _quotes(tmp_path / "EURUSD" / "EURUSD_2026-01-05.parquet")
    path = _quotes(tmp_path / "EURUSD" / "EURUSD_2026-01-06.parquet", bid=["1.1"] * COUNT)
    with pytest.raises(ValueError, match="of type string") as error:
        open_recording(str(tmp_path / "EURUSD"))
    assert str(error.value) == f"{path}: column bid is of type string, and numbers (float64) are wanted"


def test_narrower_numbers_are_widened_and_levels_that_are_not_there_pass(tmp_path: Path) -> None:
    path = tmp_path / "l2_x_book20.parquet"
    prices = pa.array([1300.0, float("nan")], pa.float32())
    pq.write_table(pa.table({"ts_recv_ns": pa.array([3, 2], pa.uint64()), "bp0": prices}), path)
    (batch,) = column_batches(path, {"ts_recv_ns", "bp0"})  # a book is in order of its messages, not of our clock
    assert {name: column.dtype for name, column in batch.items()} == {"ts_recv_ns": np.int64, "bp0": np.float64}
    np.testing.assert_array_equal(batch["bp0"], [1300.0, np.nan])


def test_empty_row_groups_are_passed_and_columns_of_lists_do_not_shift_the_span(tmp_path: Path) -> None:
    path = tmp_path / "fx_x_EURUSD_y.parquet"
    table = pa.table({"levels": [[{"a": 1, "b": 2}]] * 3, "ts_us": [5, 6, 7], "bid": [1.1] * 3, "ask": [1.2] * 3})
    with pq.ParquetWriter(path, table.schema) as writer:
        for piece in (table.slice(0, 0), table.slice(0, 2), table.slice(0, 0), table.slice(2)):
            writer.write_table(piece)
    assert column_span(path, "ts_us") == (5, 7)
    assert len(list(open_recording(str(path)).changes(0, 1.0))) == 3
    pq.write_table(table, path, write_statistics=False)
    with pytest.raises(ValueError, match=r"holds no statistics of ts_us"):
        column_span(path, "ts_us")


@pytest.mark.parametrize(("unit", "in_a_us"), [("ms", 1e-3), ("s", 1e-6), ("ns", 1e3)])
def test_times_in_another_unit_are_refused_where_they_begin(unit: str, in_a_us: float, tmp_path: Path) -> None:
    times = (1_398_902_400_000_000 + 1_000_000 * np.arange(COUNT)).astype(np.int64)
    times[2:] = (times[2:] * in_a_us).astype(np.int64)
    path = tmp_path / "fx_x_EURUSD_y.parquet"
    pq.write_table(pa.table({"ts_us": times, "bid": [1.1] * COUNT, "ask": [1.2] * COUNT}), path)
    with pytest.raises(ValueError, match="would be a time in") as error:
        list(column_batches(path, {"ts_us"}))
    wanted = f"{path} row 3: its ts_us is {times[2]}, which would be a time in {unit}: write it in us"
    assert str(error.value) == wanted
