"""What a long run of ours takes of memory: a week of ticks again and again, and the resident set by days.

How it works: the days of a recorded week (or a synthetic one) are written over and over, with shifted times, into a
folder of day files as `microlev download` leaves them, and the folder is run as one source.
"""

import argparse
import json
import resource
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bot.app import warm_up
from bot.config import Config
from bot.research.backtest.record import Day
from bot.research.sources import open_sources
from bot.trial_assumptions import conditions_of
from bot.trials import Trial, run_trial

NAME = "fx_fxcm_EURUSD_2014-05.parquet"
_DAY_US = 86_400_000_000
_START_US = 1_767_571_200_000_000  # Monday 2026-01-05 00:00 UTC
_BALANCE = 1_000_000.0


def recorded_days(path: Path) -> list[dict[str, np.ndarray]]:
    """Return the five working days of a recording with most ticks, each with its times since midnight."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["ts_us", "bid", "ask"])
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    days = columns["ts_us"] // _DAY_US
    found = []
    for day in np.unique(days):
        if (day + 3) % 7 < 5:  # the epoch was a Thursday
            of_day = {name: column[days == day] for name, column in columns.items()}
            found.append(of_day | {"ts_us": of_day["ts_us"] - day * _DAY_US})
    return sorted(found, key=lambda d: -len(d["ts_us"]))[:5]


def synthetic_days(ticks: int, span_s: int, seed: int = 1) -> list[dict[str, np.ndarray]]:
    """Return five days of a random walk with so many ticks each, in the first `span_s` seconds of the day."""
    random = np.random.default_rng(seed)
    days = []
    for _ in range(5):
        times = np.sort(random.integers(0, span_s * 1_000_000, ticks))
        mid = 110_000 + np.clip(np.cumsum(random.integers(-1, 2, ticks)), -2_000, 2_000)
        spread = random.integers(1, 4, ticks)
        days.append({"ts_us": times, "bid": mid / 1e5, "ask": (mid + spread) / 1e5})
    return days


def write_day(folder: Path, number: int, days: list[dict[str, np.ndarray]]) -> Path:
    """Write working day `number` of the repeated week; return its file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    start_us = _START_US + (number // 5 * 7 + number % 5) * _DAY_US
    columns = days[number % 5]
    date = datetime.fromtimestamp(start_us / 1e6, UTC).date()
    path = folder / f"EURUSD_{date.isoformat()}.parquet"
    pq.write_table(pa.table(columns | {"ts_us": columns["ts_us"] + start_us}), path, compression="zstd")
    return path


def resident_mb() -> float:
    """Return the resident set, now; NaN where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    except OSError:
        return float("nan")
    return pages * resource.getpagesize() / 1e6


def peak_mb() -> float:
    """Return the largest resident set so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def long_run(count: int, days: list[dict[str, np.ndarray]], every: int) -> list[dict[str, float]]:
    """Run `composite` over so many days; return rows and memory after each `every` of them, and at the end."""
    config = Config.model_validate(
        {
            "venue": {"environment": "simulator"}, "symbols": {"EURUSD": {"direction": "long"}},
            "backtest": {"balance": _BALANCE},
        }
    )  # fmt: skip
    marks: list[dict[str, float]] = []
    rows = [0]

    def on_progress(done: int, now_ns: int) -> None:  # noqa: ARG001
        rows[0] = done

    over = [0]

    def on_day(day: Day) -> None:  # noqa: ARG001  # a day's rows are handed on, as a sweep does
        over[0] += 1
        if over[0] % every == 0:
            marks.append({"days": over[0], "rows": rows[0], "resident_mb": resident_mb(), "peak_mb": peak_mb()})

    with tempfile.TemporaryDirectory(prefix="microlev-days-") as folder:
        for number in range(count):
            write_day(Path(folder), number, days)
        trial = Trial("long", config, open_sources([folder], ["EURUSD"]), conditions_of(config))
        run_trial(trial, on_day=on_day, on_progress=on_progress)
    if not marks or marks[-1]["days"] != over[0]:
        marks.append({"days": over[0], "rows": rows[0], "resident_mb": resident_mb(), "peak_mb": peak_mb()})
    return marks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recording", type=Path, help="the week of ticks; without one it is synthetic")
    parser.add_argument("--days", type=int, required=True)
    parser.add_argument("--ticks", type=int, default=100_000, help="of a synthetic day")
    parser.add_argument("--span-s", type=int, default=86_400, help="seconds of a synthetic day with ticks in them")
    wanted = parser.parse_args()
    warm_up()
    days = recorded_days(wanted.recording) if wanted.recording else synthetic_days(wanted.ticks, wanted.span_s)
    what = "recorded EURUSD ticks of a week" if wanted.recording else "synthetic ticks"
    ticks = round(sum(len(d["ts_us"]) for d in days) / 5)
    marks = long_run(wanted.days, days, max(1, wanted.days // 5))
    title = f"Memory of one process: {wanted.days} trading days of {ticks:,} ticks on average, {what} again and again"
    print(json.dumps({"title": title, "marks": marks}), flush=True)


if __name__ == "__main__":
    main()
