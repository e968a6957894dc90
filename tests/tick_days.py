"""Days of made-up ticks as files, as `microlev download` writes them: a random walk a day, each with its own seed."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bot.sim.day_files import DAY_MS, DayFile, file_name

FIRST_DAY = 20_454  # Thursday 2026-01-01
MINUTES = 10


def write_days(folder: Path, count: int, *, other_from: int | None = None) -> Path:
    """Write `count` days of EURUSD, a quote a second for ten minutes, in pairs about a midnight: no night passes.

    Days from `other_from` on differ.
    """
    folder.mkdir(parents=True)
    for number in range(count):
        is_other = other_from is not None and number >= other_from
        random = np.random.default_rng([int(is_other), number])
        start_ms = (FIRST_DAY + number) * DAY_MS
        first_ms = start_ms if number % 2 else start_ms + DAY_MS - MINUTES * 60_000
        times_us = (first_ms + np.arange(MINUTES * 60) * 1_000) * 1_000
        mid = 1.1 * np.exp(np.cumsum(random.normal(0, 3e-5, len(times_us))))
        half = 1.1e-5 * random.uniform(0.5, 2, len(times_us))
        file = DayFile("EURUSD", 5, "demo", start_ms, start_ms + DAY_MS, *(len(times_us),) * 3)
        table = pa.table({"ts_us": times_us, "bid": np.round(mid - half, 5), "ask": np.round(mid + half, 5)})
        pq.write_table(table.replace_schema_metadata(file.metadata()), folder / file_name("EURUSD", start_ms))
    return folder
