"""A source of one symbol as it is told with the shocks of that symbol in it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bot.research.backtest.messages import Messages
from bot.research.shocks.altered import altered
from bot.research.shocks.shock import Shock
from bot.research.sources import Source

_LEAD_NS = 60_000_000_000  # a shock needs quotes before it


def shocked_source(source: Source, shocks: Sequence[Shock]) -> Source:
    """Return a source with its own symbol's shocks in it, those of others left out.

    A stream from a time on has the shocks that are not over then. What earlier ones have moved for good is not in its
    prices, and changes no distance from the mid.
    """
    own = sorted((each for each in shocks if each.symbol == source.spec.name), key=lambda shock: shock.at_ns)

    def stream(place: int, from_ns: int) -> Iterator[Messages]:
        ahead = [shock for shock in own if shock.end_ns > from_ns]
        begin_ns = min([from_ns, *(shock.at_ns - _LEAD_NS for shock in ahead)])
        # Of one symbol: it is the only one, whatever place its messages are to have.
        return _at(place, altered(source.stream(0, begin_ns), ahead, [source.spec]))

    return replace(source, stream=stream) if own else source


def _at(place: int, pieces: Iterator[Messages]) -> Iterator[Messages]:
    for piece in pieces:
        rows = piece.rows.copy()
        rows["symbol"] = place
        yield Messages(piece.times_ns, piece.ends, rows)
