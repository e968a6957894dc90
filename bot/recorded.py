"""A run as its journal describes it: the session and the engine that were, put together once more.

So a journal is decided again, and so it is a market: its frames go through a session as they did.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bot import __version__
from bot.assembly import Run, assemble, journalled_token
from bot.config import Config
from bot.config.secrets import ClientSecrets
from bot.ctrader.redact import MARKER
from bot.journal.format import JournalError
from bot.journal.replay import replay
from bot.journal.run_reader import RunReader, open_run
from bot.journal.segments import is_recording
from bot.research.backtest.messages import Messages, collected
from bot.research.backtest.own_fills import OwnFill, OwnFills, walk
from bot.research.recorded_market import market_batches, symbols_of
from bot.research.sources import Source


def recorded_run(path: Path, header: Mapping[str, Any]) -> Run:
    """Return the run of a journal's header, idle. Args: `path` for the error.

    Raises: JournalError for a journal of something else, or of a version with other configs.
    """
    if header.get("software") != "microlev" or not {"config", "run_id"} <= header.keys():
        raise JournalError(f"{path} is a journal, but not of a microlev run")
    try:
        config = Config.model_validate(header["config"])
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise JournalError(f"{path}: its config does not fit version {__version__}: {first}") from None
    token, renewable = journalled_token(header)
    return assemble(
        config,
        ClientSecrets(MARKER, MARKER),
        token,
        str(header["run_id"]),
        renewable=renewable,
        sharers=int(header.get("sharers", 1)),
    )


def refuse_without_beginning(path: Path, reader: RunReader) -> None:
    """Refuse to decide a run again whose beginning is gone. Raises: JournalError for such a one."""
    if reader.first_segment > 1:
        first = f"begins with segment {reader.first_segment}, earlier ones were removed"
        raise JournalError(f"{path}: the recording {first}; a replay needs the first")


def recorded_sources(name: str) -> list[Source] | None:
    """Return the market of a recorded run, a source a symbol; None for what is no journal by its name.

    Raises: ValueError, one line, for a journal that cannot be used.
    """
    path = Path(name)
    if not is_recording(path) or (path.is_dir() and not any(path.glob("*.journal*"))):
        return None
    try:
        with open_run(path) as reader:
            specs = symbols_of(reader, recorded_run(path, reader.header).session, reader.standing)
        span_ns = _span_ns(path)
    except JournalError as error:
        raise ValueError(str(error)) from None

    def source(symbol: str) -> Source:
        spec = next(spec for spec in specs if spec.name == symbol)

        def stream(place: int, from_ns: int) -> Iterator[Messages]:
            with open_run(path) as reader:
                session = recorded_run(path, reader.header).session
                yield from collected(market_batches(reader, session, symbol, place, from_ns, reader.standing))

        return Source(str(path), spec, "recorded by microlev", span_ns, stream)

    return [source(spec.name) for spec in specs]


def _span_ns(path: Path) -> tuple[int, int]:
    """Return when the first and the last of a run's records were."""
    first_ns = last_ns = 0
    with open_run(path) as reader:
        for record in reader:
            first_ns, last_ns = first_ns or record.ns, max(last_ns, record.ns)
    return first_ns, last_ns


def own_fills(path: Path) -> list[OwnFill]:
    """Return the market orders of a recorded session that were filled, with what its recorded book would have given.

    Raises: JournalError for a journal that cannot be used, or decides otherwise here than it did.
    """
    own = OwnFills()
    with open_run(path) as reader:
        refuse_without_beginning(path, reader)
        result = replay(reader, recorded_run(path, reader.header).pipeline, own.see)
    if result.difference is not None:
        at = result.difference
        raise JournalError(
            f"{path} is decided otherwise here, at decision {at.number}: {at.what}; its fills are not compared"
        )
    fills = own.fills()
    with open_run(path) as reader:
        walk(fills, reader, recorded_run(path, reader.header).session)
    return fills
