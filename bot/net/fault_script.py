"""From a fault file to what the embedded venue plays.

It stands here because the file's model knows nothing of the venue and the venue nothing of files. Names of requests,
events and execution types are checked against the protocol, those of symbols against what the venue lists.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from bot.config.errors import ConfigError
from bot.config.fault_model import Entry, FaultFile
from bot.config.faults import parse_faults, read_faults
from bot.config.source import ConfigSource, Key
from bot.ctrader.schema import enum, message_for
from bot.sim.faults.script import ALWAYS, WHATS, Fault, FaultScript, RandomFaults, What, When
from bot.sim.faults.venue_faults import SymbolChange

_NUMBERS = (50, 51, *range(2_100, 2_200))


def load_faults(path: Path, symbols: Iterable[str] | None = None) -> FaultScript:
    """Return the script in a YAML file, ready for `Venue(faults=…)`.

    Args: `symbols` are those that the venue will list; None: any name will do.
    Raises: ConfigError, one line with file, line and key.
    """
    return fault_script(read_faults(path), symbols)


def parse_script(text: str, name: str, symbols: Iterable[str] | None = None) -> FaultScript:
    """Return the script in a YAML text; `name` stands for the file in errors. Raises: ConfigError."""
    return fault_script(parse_faults(text, name), symbols)


def fault_script(file: FaultFile, symbols: Iterable[str] | None = None) -> FaultScript:
    """Return what a file that was read asks for. Raises: ConfigError, with the line."""
    reader = _Reader(file.source, None if symbols is None else sorted(symbols))
    faults = [reader.fault(entry, ("faults", str(index))) for index, entry in enumerate(file.faults)]
    random = None
    if file.random is not None:
        drawn = [reader.fault(e, ("random", "faults", str(index))) for index, e in enumerate(file.random.faults)]
        random = RandomFaults(file.random.per_hour, tuple(drawn))
    return FaultScript(tuple(faults), random, file.seed)


class _Reader:
    def __init__(self, source: ConfigSource, symbols: list[str] | None) -> None:
        self._source, self._symbols = source, symbols
        names = [cls.DESCRIPTOR.name for number in _NUMBERS if (cls := message_for(number)) is not None]
        self._requests = [name for name in names if name.endswith("Req")]
        self._events = [name for name in names if not name.endswith("Req")]

    def fault(self, entry: Entry, key: Key) -> Fault:
        when = When(
            at_ns=entry.at,
            every_ns=entry.every,
            jitter_ns=entry.jitter,
            on_request=self._known(entry.on_request, self._requests, (*key, "on_request"), "request"),
            on_event=self._known(entry.on_event, self._events, (*key, "on_event"), "event"),
            kinds=self._known(entry.kind, list(enum("ProtoOAExecutionType")), (*key, "kind"), "execution type"),
            on_connect=entry.on_connect,
            nth=entry.nth,
            after_ns=entry.after,
        )
        (name,) = entry.names
        if name == "block":
            self._known(entry.block and entry.block.requests, self._requests, (*key, name, "requests"), "request")
        if self._symbols is not None:
            self._known((entry.symbol,) if entry.symbol else None, self._symbols, (*key, "symbol"), "symbol")
        return Fault(
            what=_what(name, getattr(entry, name)),
            when=when,
            times=ALWAYS if entry.times == "always" else entry.times,
            for_ns=entry.lasts,
            probability=entry.probability,
            account_id=entry.account,
            symbol=entry.symbol,
        )

    def _known(self, given: Sequence[str] | None, known: list[str], key: Key, noun: str) -> tuple[str, ...]:
        for name in given or ():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                text = f"{name!r} is no {noun}{f', did you mean {close[0]!r}?' if close else ''}"
                if len(known) < 20:
                    text += f"; there are: {', '.join(known)}"
                raise self._source.error_at(key, text)
        return tuple(given or ())


def _what(name: str, section: Any) -> What:
    """Return the venue's class for one fault, with what the file says; times lose nothing but gain their unit."""
    if name == "symbol_change":
        return SymbolChange(section.model_dump(exclude_unset=True))
    cls = WHATS[name]
    return cls(**{field.name: getattr(section, field.name.removesuffix("_ns")) for field in fields(cls)})


__all__ = ["ConfigError", "fault_script", "load_faults", "parse_script"]
