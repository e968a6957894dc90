"""One scripted liquidity shock: what the market of a symbol shows for a while, and the move of its price beside it.

Source: models 17.6 for the kinds, their sizes and durations. It gives no duration for lost depth (taken: that of the
spread), for the gap (taken: it comes back within a minute, or stays) and for a lost connection (taken: five seconds).
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.research.backtest.drop import Drop
from bot.research.metrics.arm_run import SECOND_NS, Span

USUAL = {
    "spread": (60.0, 10.0),
    "depth": (60.0, 0.1),
    "empty-side": (2.0, None),
    "gap": (60.0, None),
    "stale": (30.0, None),
    "crossed": (5.0, 1.0),
    "reconnect": (5.0, None),
}
"""The kinds, with their usual duration in seconds and size."""
GAP_BPS = 100.0
SIDES = ("bid", "ask")
MOST_MOVE_BPS = 5_000.0


@dataclass(frozen=True, slots=True)
class Shock:
    """A shock of one symbol.

    Args: `kind` is one of `USUAL`: `spread` and `depth` multiply by `size`; `empty-side` takes all quotes of `side`
        away; `gap` is its move and nothing else; `stale` tells nothing; `crossed` puts the bid `size` spreads above the
        ask; `reconnect` drops the connection, of all symbols, and makes another at the end. `move_bps` is what the
        price jumps by at the begin, up positive; it stays, or with `reverts` fades until the end, in a straight line.
    Units: `at_ns` UTC; `duration_s` seconds; `size` a ratio. Missing: `size`, `side` None where the kind has none.
    Raises: ValueError, one line.
    """

    kind: str
    symbol: str
    at_ns: int
    duration_s: float
    size: float | None = None
    side: str | None = None
    move_bps: float = 0.0
    reverts: bool = False

    def __post_init__(self) -> None:
        if self.kind not in USUAL:
            raise ValueError(f"unknown kind of shock {self.kind!r}; there are: {', '.join(USUAL)}")
        if not 0 < self.duration_s < math.inf:
            raise ValueError(f"{self}: a shock lasts more than 0 s, not {self.duration_s:g}")
        if not abs(self.move_bps) < MOST_MOVE_BPS:
            raise ValueError(f"{self}: a move is within {MOST_MOVE_BPS:g} bps, not {self.move_bps:g}")
        if self.kind == "gap" and not self.move_bps:
            raise ValueError(f"{self}: a gap needs a move, such as {GAP_BPS:g} bps down")
        has_size, has_side = USUAL[self.kind][1] is not None, self.kind == "empty-side"
        if (self.size is not None) is not has_size or (self.side is not None) is not has_side:
            wanted = "a size and no side" if has_size else "a side and no size" if has_side else "neither size nor side"
            raise ValueError(f"{self}: this kind has {wanted}")
        if self.side is not None and self.side not in SIDES:
            raise ValueError(f"{self}: its side is bid or ask, not {self.side!r}")
        if self.size is not None and not 0 < self.size < 1e6:
            raise ValueError(f"{self}: a size is above 0 and below a million, not {self.size:g}")
        if (self.kind, (self.size or 0) < 1) in {("spread", True), ("depth", False)}:
            wanted = "widened by 1 or more" if self.kind == "spread" else "thinned by less than 1"
            raise ValueError(f"{self}: it is {wanted}, not {self.size:g}")

    def __str__(self) -> str:
        """Return the shock in a few words, as errors name it."""
        return f"shock {self.kind} of {self.symbol} at {datetime.fromtimestamp(self.at_ns // SECOND_NS, UTC):%F %T}"

    @property
    def end_ns(self) -> int:
        """When it is over."""
        return self.at_ns + round(self.duration_s * SECOND_NS)

    @property
    def name(self) -> str:
        """What a span of it is called: the kind, and whether the price moves with it."""
        if self.kind == "gap":
            return "shock gap that comes back" if self.reverts else "shock gap"
        return f"shock {self.kind} with a move" if self.move_bps else f"shock {self.kind}"


def spans(shocks: Iterable[Shock]) -> tuple[Span, ...]:
    """Return the time of each shock, in order of time, by its name.

    A gap is worst when it comes. Every other shock is as bad until its end as at its begin, and is taken as worst at
    its last moment: what is held then is what the bot has not got rid of while it lasted.
    """
    ordered = sorted(shocks, key=lambda shock: shock.at_ns)
    return tuple(
        Span(shock.at_ns, shock.end_ns, shock.name, shock.at_ns if shock.kind == "gap" else shock.end_ns - 1)
        for shock in ordered
    )


def drops(shocks: Iterable[Shock]) -> tuple[Drop, ...]:
    """Return when the connection is lost, in order of time."""
    return tuple(sorted(Drop(shock.at_ns, shock.end_ns) for shock in shocks if shock.kind == "reconnect"))


def checked(shocks: Iterable[Shock], symbols: Iterable[str], from_ns: int, until_ns: int) -> tuple[Shock, ...]:
    """Return shocks in order of time. Raises: ValueError, one line, for one that a run cannot play."""
    known = tuple(symbols)
    ordered = tuple(sorted(shocks, key=lambda shock: (shock.at_ns, shock.symbol)))
    busy: dict[str, Shock] = {}
    for shock in ordered:
        if shock.symbol not in known:
            raise ValueError(f"{shock}: the run has no such symbol; it has {', '.join(known)}")
        if not from_ns < shock.at_ns < shock.end_ns < until_ns:
            begin, end = (datetime.fromtimestamp(ns // SECOND_NS, UTC) for ns in (from_ns, until_ns))
            raise ValueError(f"{shock}: it is not within the data, {begin:%F %T} to {end:%F %T} UTC")
        before = busy.get(shock.symbol)
        if before is not None and before.end_ns >= shock.at_ns:
            raise ValueError(f"{shock}: it begins before {before} is over")
        busy[shock.symbol] = shock
    lost = drops(ordered)
    for one, other in itertools.pairwise(lost):
        if one.until_ns >= other.at_ns:
            raise ValueError("two reconnects overlap: a connection that is lost cannot be lost again")
    return ordered
