"""The market behind the venue: one stream of changes a symbol, merged by time.

How it works: every symbol is an endless or ending iterator of `Change`s in time order; a heap holds the next of each.
A source is `synthetic[:SCENARIO]`, with the scenarios of `bot.sim.scenario`, or a recording; a recorded symbol replaces
the synthetic one of its name. The default symbols are always there, others of `bot.sim.listing` when they are named.
"""

import heapq
from collections.abc import Iterable, Iterator

from bot.market.symbols import SymbolSpec
from bot.sim.change import Change
from bot.sim.listing import default_symbols, extra_symbols
from bot.sim.recording import is_recording, open_recording
from bot.sim.scenario import SCENARIOS
from bot.sim.synthetic import mid_paths, quote_stream


class Market:
    """All symbols of a venue, moved by the clock it is given.

    `descriptions` says of each symbol (by name) what kind of data it is; `ended` names the symbols whose recording
    is over: they keep their last quotes and stop changing; `broken` tells of recordings that could not be read to
    their end.
    """

    def __init__(self, streams: dict[SymbolSpec, Iterator[Change]], descriptions: dict[str, str] | None = None) -> None:
        self.specs: tuple[SymbolSpec, ...] = tuple(sorted(streams, key=lambda spec: spec.symbol_id))
        self.descriptions = descriptions or {}
        self.ended: list[str] = []
        self.broken: list[str] = []
        self._streams = [(spec.name, streams[spec]) for spec in self.specs]
        self._heap: list[tuple[int, int, Change]] = []
        for index in range(len(self._streams)):
            first = self._next(index)
            if first is not None:
                heapq.heappush(self._heap, (first.time_ns, index, first))

    def next_change_ns(self) -> int | None:
        """Return when the next change happens; None when every symbol's market has ended."""
        return self._heap[0][0] if self._heap else None

    def advance(self, now_ns: int) -> list[Change]:
        """Return every change up to and including `now_ns`, in time order."""
        changes: list[Change] = []
        heap = self._heap
        while heap and heap[0][0] <= now_ns:
            _, index, change = heap[0]
            changes.append(change)
            following = self._next(index)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (following.time_ns, index, following))
        return changes

    def _next(self, index: int) -> Change | None:
        name, stream = self._streams[index]
        try:
            change = next(stream, None)
        except ValueError as error:  # a recording that is corrupt further on must not stop the others
            self.broken.append(str(error))
            change = None
        if change is None:
            self.ended.append(name)
        return change


def open_market(source: str, *, seed: int, start_ns: int, speed: float, symbols: Iterable[str] = ()) -> Market:
    """Return the market that `source` names, starting at `start_ns` and running at `speed` times the clock.

    Args: `symbols` are wanted beside the default ones; to name one that is there anyway changes nothing.
    Raises: ValueError, one line, for an unknown scenario or symbol, an unreadable recording or a speed that is not
        positive.
    """
    if not 0 < speed < float("inf"):
        raise ValueError(f"speed must be a positive number, not {speed}")
    kind, _, scenario = source.partition(":")
    recorded: tuple[SymbolSpec, Iterator[Change]] | None = None
    descriptions: dict[str, str] = {}
    if kind == "synthetic":
        scenario = scenario or "calm"
        if scenario not in SCENARIOS:
            raise ValueError(f"unknown scenario {scenario!r}; the venue has: {', '.join(SCENARIOS)}")
    elif is_recording(source):
        recording = open_recording(source)
        recorded = (recording.spec, recording.changes(start_ns, speed))
        descriptions[recording.spec.name] = recording.description
        scenario = "calm"
    else:
        raise ValueError(
            f"unknown market {source!r}: give synthetic[:{'|'.join(SCENARIOS)}], a .parquet recording, or a "
            "folder of one symbol's days (a journal cannot be a market yet)"
        )
    recorded_name = None if recorded is None else recorded[0].name
    paths = mid_paths(seed, SCENARIOS[scenario])
    streams: dict[SymbolSpec, Iterator[Change]] = {
        spec: quote_stream(spec, paths[spec.name], SCENARIOS[scenario], seed, start_ns, speed)
        for spec in (*default_symbols(), *_extra(symbols, recorded_name))
        if spec.name != recorded_name
    }
    if recorded is not None:
        streams[recorded[0]] = recorded[1]
    for spec in streams:
        descriptions.setdefault(spec.name, f"synthetic {scenario}")
    return Market(streams, descriptions)


def _extra(names: Iterable[str], recorded_name: str | None) -> list[SymbolSpec]:
    wanted, extra = set(names), extra_symbols()
    known = [spec.name for spec in (*default_symbols(), *extra)]
    unknown = sorted(wanted.difference(known, (recorded_name,)))
    if unknown:
        raise ValueError(f"unknown symbol {unknown[0]!r}; the venue has: {', '.join(known)}")
    return [spec for spec in extra if spec.name in wanted]
