"""Proof that a backtest looks at nothing ahead: what happens up to a time t does not change when data after t does.

How it works: the run is made once as it is, and once for each of several times t with everything after t altered:
prices moved and noised, sizes changed, one message in five missing, all of it seeded. Every row of the result, every
fill and the canonical bytes of every Decision up to t must be the same, bit for bit. Altered messages must have come
within half an hour after t, and something behind the first of them must differ, or nothing would have been proved.

Limits: what reads a recording past the stream of messages, a strategy that opens its file, is not seen.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from bot.engine.decision import Decision, describe
from bot.market.delta import DEPTH_ASK, DEPTH_BID, SPOT_ASK, SPOT_BID
from bot.research.backtest.messages import Messages
from bot.research.backtest.result import Result

TAIL_NS = 1_800_000_000_000
"""How much of the altered data is played after t: enough to see that it matters."""
_MOVE_BPS, _NOISE_E5, _KEPT_FRAC = (20.0, 60.0), 3, 0.8

Alter = Callable[[Iterator[Messages]], Iterator[Messages]]
Watch = Callable[[Decision], None]


class Runner(Protocol):
    """Runs the same trial again, its messages altered, up to a time or the end of the data.

    It goes on so far by the clock, whenever the last message that is left comes.
    """

    def __call__(self, alter: Alter, until_ns: int, watch: Watch) -> Result:
        """Return the result; `watch` sees every Decision."""
        ...


def altered_after(pieces: Iterator[Messages], after_ns: int, seed: int = 1) -> Iterator[Messages]:
    """Yield messages unchanged up to and at a time, and altered after it."""
    random = np.random.default_rng(seed)
    by_symbol = random.uniform(*_MOVE_BPS, 256) * random.choice([-1.0, 1.0], 256)
    for piece in pieces:
        first = int(np.searchsorted(piece.times_ns, after_ns, side="right"))
        if first == len(piece.times_ns):
            yield piece
            continue
        if first:
            yield piece.part(0, first)
        yield _altered(piece.part(first, len(piece.times_ns)), by_symbol, random)


def _altered(piece: Messages, by_symbol: np.ndarray, random: np.random.Generator) -> Messages:
    counts = np.diff(piece.ends, prepend=0)
    kept = random.random(len(counts)) < _KEPT_FRAC
    rows = piece.rows[np.repeat(kept, counts)].copy()
    priced = np.isin(rows["kind"], (SPOT_BID, SPOT_ASK, DEPTH_BID, DEPTH_ASK))
    sized = np.isin(rows["kind"], (DEPTH_BID, DEPTH_ASK))
    moved = rows["price_e5"][priced] * (1.0 + by_symbol[rows["symbol"][priced] % len(by_symbol)] / 1e4)
    noise = random.integers(-_NOISE_E5, _NOISE_E5 + 1, len(moved))
    rows["price_e5"][priced] = np.maximum(np.rint(moved).astype(np.int64) + noise, 1)
    factor = np.exp(random.uniform(-1.5, 1.5, int(sized.sum())))
    rows["size_cents"][sized] = np.maximum(rows["size_cents"][sized] * factor, 1).astype(np.int64)
    rows.flags.writeable = False
    return Messages(piece.times_ns[kept], np.cumsum(counts[kept]), rows)


@dataclass(slots=True)
class Trace:
    """What a run has done, to be compared: the time and the digest of each Decision, rows and fills."""

    times_ns: "array[int]" = field(default_factory=lambda: array("q"))
    digests: "array[int]" = field(default_factory=lambda: array("Q"))
    result: Result | None = None

    def see(self, decision: Decision) -> None:
        """Take a Decision."""
        self.times_ns.append(decision.now_ns)
        digest = hashlib.blake2b(decision.encode(), digest_size=8).digest()
        self.digests.append(int.from_bytes(digest, "little"))

    def rows_until(self, at_ns: int) -> np.ndarray:
        """Return the rows of the result up to and at a time."""
        assert self.result is not None
        return self.result.clocks[self.result.clocks["time_ns"] <= at_ns]

    def fills_until(self, at_ns: int) -> np.ndarray:
        """Return the fills that were known up to and at a time."""
        assert self.result is not None
        return self.result.fills[self.result.fills["decided_ns"] <= at_ns]

    def decisions_until(self, at_ns: int) -> np.ndarray:
        """Return the digests up to and at a time."""
        count = int(np.searchsorted(np.array(self.times_ns), at_ns, side="right"))
        return np.array(self.digests[:count], np.uint64)

    def decisions_between(self, from_ns: int, until_ns: int) -> np.ndarray:
        """Return the digests at and after one time, and before another."""
        times_ns = np.array(self.times_ns)
        return np.array(self.digests, np.uint64)[(times_ns >= from_ns) & (times_ns < until_ns)]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first thing up to t that changes with what comes after t: `what` (row, fill or decision), its field, both."""

    time_ns: int
    what: str
    name: str
    unaltered: object
    altered: object


@dataclass(frozen=True, slots=True)
class Cut:
    """What came of one time t.

    `differs_after` says whether the altered data have changed anything, as they must; `altered_messages` how many of
    them came within the tail.
    """

    at_ns: int
    decisions: int
    rows: int
    fills: int
    difference: Difference | None
    differs_after: bool
    altered_messages: int

    @property
    def is_passed(self) -> bool:
        """Whether nothing was seen ahead, and something would have been."""
        return self.difference is None and self.differs_after


def check_look_ahead(
    run: Runner, *, at_ns: Sequence[int] = (), cuts: int = 3, seed: int = 1, tail_ns: int = TAIL_NS
) -> tuple[Cut, ...]:
    """Return what came of each time: those of `at_ns`, else `cuts` of them spread evenly over the rows of the run.

    Raises: ValueError when the run has no rows to cut; whatever `run` raises.
    """
    base = Trace()
    base.result = run(lambda pieces: pieces, 2**62, base.see)
    return tuple(_cut(run, base, at, seed, tail_ns) for at in at_ns or _spread(base.result.clocks["time_ns"], cuts))


def _spread(time_ns: np.ndarray, cuts: int) -> list[int]:
    if len(time_ns) <= cuts:
        raise ValueError(f"the run has {len(time_ns)} rows, too few for {cuts} cuts: give it more data")
    return [int(time_ns[len(time_ns) * (i + 1) // (cuts + 1)]) for i in range(cuts)]


def _cut(run: Runner, base: Trace, at_ns: int, seed: int, tail_ns: int) -> Cut:
    def alter(pieces: Iterator[Messages]) -> Iterator[Messages]:
        return altered_after(pieces, at_ns, seed)

    altered_ns: list[int] = []

    def alter_and_note(pieces: Iterator[Messages]) -> Iterator[Messages]:
        for piece in alter(pieces):
            altered_ns.extend(piece.times_ns[piece.times_ns > at_ns].tolist())
            yield piece

    other = Trace()
    until_ns = at_ns + tail_ns
    other.result = run(alter_and_note, until_ns, other.see)
    rows, fills, decisions = base.rows_until(at_ns), base.fills_until(at_ns), base.decisions_until(at_ns)
    found = [
        difference
        for difference in (
            _first_in("row", "time_ns", rows, other.rows_until(at_ns)),
            _first_in("fill", "decided_ns", fills, other.fills_until(at_ns)),
        )
        if difference is not None
    ]
    number = _first_decision(decisions, other.decisions_until(at_ns))
    if number is not None:
        found.append(_decision_difference(run, alter, number, until_ns))
    # A message that is missing moves what is done by the clock: not that, but what an altered one does is a proof.
    from_ns = altered_ns[0] if altered_ns else until_ns
    ahead, altered_ahead = (trace.decisions_between(from_ns, until_ns) for trace in (base, other))
    return Cut(
        at_ns,
        len(decisions),
        len(rows),
        len(fills),
        min(found, key=lambda difference: difference.time_ns, default=None),
        not np.array_equal(ahead, altered_ahead),
        len(altered_ns),
    )


def _first_in(what: str, time_name: str, one: np.ndarray, other: np.ndarray) -> Difference | None:
    """Return the first field that differs between two tables of records."""
    if one.tobytes() == other.tobytes():
        return None
    for a, b in zip(one, other, strict=False):
        if a.tobytes() == b.tobytes():
            continue
        for name in one.dtype.names or ():
            if np.asarray(a[name]).tobytes() != np.asarray(b[name]).tobytes():
                return Difference(int(a[time_name]), what, name, a[name].tolist(), b[name].tolist())
    shorter, longer = sorted((len(one), len(other)))
    extra = (one if len(one) == longer else other)[shorter]
    return Difference(int(extra[time_name]), what, f"number of {what}s", len(one), len(other))


def _first_decision(one: np.ndarray, other: np.ndarray) -> int | None:
    shared = min(len(one), len(other))
    differing = np.flatnonzero(one[:shared] != other[:shared])
    if len(differing):
        return int(differing[0])
    return None if len(one) == len(other) else shared


def _decision_difference(run: Runner, alter: Alter, number: int, until_ns: int) -> Difference:
    """Run both again, with what is behind t as before, and find what differs in the Decision that does."""
    found = []
    for change in (lambda pieces: pieces, alter):
        nth = _Nth(number)
        run(change, until_ns, nth.see)
        found.append({} if nth.encoded is None else describe(nth.encoded))
    one, other = found
    times = [int(str(each["now_ns"])) for each in found if each]
    for name in (*one, *other):
        if repr(one.get(name)) != repr(other.get(name)):  # NaN is NaN here
            return Difference(min(times), "decision", name, one.get(name), other.get(name))
    return Difference(min(times, default=until_ns), "decision", "bytes", None, None)


class _Nth:
    """Keeps one Decision's canonical bytes, by its number."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.encoded: bytes | None = None

    def see(self, decision: Decision) -> None:
        if self._left == 0:
            self.encoded = decision.encode()
        self._left -= 1
