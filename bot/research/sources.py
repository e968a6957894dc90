"""What a SOURCE of the command line names, as streams of messages: recordings, ticks, or a synthetic market.

How it works: a source is opened once, to see what it holds (which symbol, which time, what kind of data), and read as
often as somebody asks for its messages, always from its beginning and piece by piece. Quotes without depth get one that
is shaped like that of another market: such data are labelled semi-synthetic wherever they are named.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from bot.market.hours import SymbolHours
from bot.market.symbols import SymbolSpec
from bot.research.backtest.messages import Messages, collected
from bot.research.depth_messages import depth_messages
from bot.research.recordings import EVENT_COLUMNS, TICK_COLUMNS
from bot.research.streams import change_batches, shape_table, tick_messages
from bot.sim import shape
from bot.sim.day_files import missing_days
from bot.sim.listing import default_symbols, extra_symbols, in_its_hours
from bot.sim.recording import (
    SHAPE_FILE,
    best_size_cents,
    column_batches,
    column_names,
    column_span,
    columns_in_order,
    has_rows,
    open_recording,
    recorded_files,
)
from bot.sim.scenario import SCENARIOS
from bot.sim.synthetic import mid_paths, quote_stream

SYNTHETIC_START_NS = 1_767_571_200_000_000_000
"""When a synthetic market begins: Monday 2026-01-05 00:00 UTC."""
SYNTHETIC_S = 8 * 3_600
_SHAPES, _AVERAGED = 64, 700
"""So many shapes of another market are used in turn, each the mean of so many snapshots, ten seconds of that recording:
its best level is nearly empty for a moment many times a minute, and ticks that come once a second would meet such
moments as if they lasted."""
_CONTRACT_USD = 100.0
_BATCH_ROWS = 65_536
_DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One symbol's data.

    `label` says what kind of data it is; `span_ns` its first and last time; `stream(place, from_ns)` yields its
    messages for the symbol index `place`, ticks from a time on only (a book has to be followed from its beginning);
    `missing_ns` says when the days begin (UTC) of which a folder of days has no file, though the symbol trades.
    """

    name: str
    spec: SymbolSpec
    label: str
    span_ns: tuple[int, int]
    stream: Callable[[int, int], Iterator[Messages]]
    missing_ns: tuple[int, ...] = ()

    @property
    def is_semi_synthetic(self) -> bool:
        """Whether its depth is made up around real quotes."""
        return "semi-synthetic" in self.label


Opener = Callable[[str], Sequence[Source] | None]
"""Opens what it knows; None for a name that it does not."""


def open_sources(
    names: Sequence[str], symbols: Sequence[str], seed: int = 1, others: Opener = lambda name: None
) -> list[Source]:
    """Return the sources of symbols, in the order of `symbols`, then those that only convert money.

    Args: `symbols` that are traded; a synthetic market has the default ones of the embedded venue; `others` opens
        what is neither that nor a recording of columns.
    Raises: ValueError, one line, for a source that cannot be read, one too many, or a symbol without any.
    """
    found: dict[str, Source] = {}
    for name in names:
        for source in others(name) or _opened(name, symbols, seed):
            other = found.setdefault(source.spec.name, source)
            if other is not source:
                raise ValueError(f"{source.spec.name} is in two sources: {other.name} and {source.name}")
    missing = [symbol for symbol in symbols if symbol not in found]
    if missing:
        raise ValueError(f"no source has {missing[0]}; they have: {', '.join(found)}")
    ordered = [found[symbol] for symbol in symbols] + [s for s in found.values() if s.spec.name not in symbols]
    return [replace(source, spec=replace(source.spec, symbol_id=i + 1)) for i, source in enumerate(ordered)]


def _opened(name: str, symbols: Sequence[str], seed: int) -> list[Source]:
    return _synthetic(name, symbols, seed) if name.partition(":")[0] == "synthetic" else [_recorded(Path(name))]


def _recorded(path: Path) -> Source:
    recording = open_recording(str(path))
    files = recorded_files(path)
    columns = column_names(files[0])
    if columns >= EVENT_COLUMNS:
        return _depth(path, recording.spec)
    if columns >= TICK_COLUMNS:
        return _ticks(path, files, recording.spec, recording.description)
    time = "ts_recv_ns" if "ts_recv_ns" in columns else "ts_us"

    def stream(place: int, from_ns: int) -> Iterator[Messages]:  # noqa: ARG001  # a book begins at its beginning
        first_ns, _ = _span_ns(path, time)
        return collected(change_batches(recording.changes(first_ns, 1.0), place))

    return Source(str(path), recording.spec, recording.description, _span_ns(path, time), stream)


def _depth(path: Path, spec: SymbolSpec) -> Source:
    scale, label = 1.0, "recorded depth"
    if "_coinm_" in path.name:
        first = next(column_batches(path, {"price"}))["price"]
        scale, label = _CONTRACT_USD / float(np.median(first)), "recorded depth, contracts of 100 USD as coins"

    def stream(place: int, from_ns: int) -> Iterator[Messages]:  # noqa: ARG001
        return depth_messages(column_batches(path, EVENT_COLUMNS | {"update_id"}, _BATCH_ROWS), place, scale)

    return Source(str(path), spec, label, _span_ns(path, "ts_recv_ns"), stream)


def _ticks(path: Path, files: Sequence[Path], spec: SymbolSpec, label: str) -> Source:
    timed = in_its_hours(spec)
    beside = files[0].with_name(SHAPE_FILE)
    spans = {file: _span_ns(file, "ts_us") for file in files if has_rows(file)}
    if not spans:
        raise ValueError(f"{path} holds no rows")

    def shapes() -> np.ndarray:
        if not beside.is_file():
            return shape_table(shape.built_in_shapes(), 1)
        return shape_table(
            shape.recorded_shapes(lambda: column_batches(beside, column_names(beside))), _SHAPES, _AVERAGED
        )

    def stream(place: int, from_ns: int) -> Iterator[Messages]:
        wanted = [file for file, (_, last_ns) in spans.items() if last_ns >= from_ns]
        batches = (
            {name: column[batch["ts_us"] >= from_ns // 1_000] for name, column in batch.items()}
            for batch in columns_in_order(wanted)
            if batch["ts_us"][-1] >= from_ns // 1_000
        )
        return tick_messages(batches, place, timed, shapes(), best_size_cents(spec))

    firsts, lasts = zip(*spans.values(), strict=True)
    return Source(str(path), timed, label, (min(firsts), max(lasts)), stream, _missing_ns(files, timed))


def _missing_ns(files: Sequence[Path], spec: SymbolSpec) -> tuple[int, ...]:
    hours = SymbolHours(spec)
    days = [(day - date(1970, 1, 1)).days for day in missing_days(file.name for file in files)]
    return tuple(day * _DAY_NS for day in days if hours.is_open(day * _DAY_NS + _DAY_NS // 2) is not False)


def _synthetic(name: str, symbols: Sequence[str], seed: int) -> list[Source]:
    scenario = name.partition(":")[2] or "calm"
    if scenario not in SCENARIOS:
        raise ValueError(f"unknown scenario {scenario!r}; there are: {', '.join(SCENARIOS)}")
    listed = {spec.name: spec for spec in (*default_symbols(), *extra_symbols())}
    end_ns = SYNTHETIC_START_NS + SYNTHETIC_S * 1_000_000_000

    def source(spec: SymbolSpec) -> Source:
        def stream(place: int, from_ns: int) -> Iterator[Messages]:  # noqa: ARG001
            path = mid_paths(seed, SCENARIOS[scenario])[spec.name]  # it cannot go back: a new one each time
            changes = quote_stream(spec, path, SCENARIOS[scenario], seed, SYNTHETIC_START_NS, 1.0)
            return collected(change_batches(itertools.takewhile(lambda c: c.time_ns < end_ns, changes), place))

        return Source(name, spec, f"synthetic {scenario}", (SYNTHETIC_START_NS, end_ns), stream)

    return [source(listed[symbol]) for symbol in symbols if symbol in listed]


def _span_ns(path: Path, time: str) -> tuple[int, int]:
    """Return the first and the last time of a file, by the statistics of its pieces where they are there."""
    first, last = column_span(path, time)
    scale = 1_000 if time.endswith("_us") else 1
    return first * scale, last * scale
