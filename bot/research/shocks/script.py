"""A list of shocks: the standard one, spread over a run at seeded times, and the form that a YAML file has.

How it works: the standard script has every kind twice for each symbol, without and with a move of the price against
the position. Times are drawn from a grid of slots in which every symbol trades, a minute within each slot at random,
so that the market has at least twenty minutes between the end of one shock and the begin of the next.

Source: models 17.6. It gives no size of the move: 50 bps are taken, of the order of the
events of models 12.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from bot.market.hours import SymbolHours
from bot.market.symbols import SymbolSpec
from bot.research.metrics.arm_run import SECOND_NS
from bot.research.shocks.shock import GAP_BPS, SIDES, USUAL, Shock

MOVE_BPS = 50.0
APART_S, _DRAWN_S, _LONGEST_S = 1_200, 600, 60
_SLOT_NS = (APART_S + _DRAWN_S + _LONGEST_S) * SECOND_NS
_WARM_UP_S = 1_800
AGAINST, UP, DOWN = "against", "up", "down"
_KEYS = ("kind", "symbol", "at", "for_s", "size", "side", "move")
_MOVE_KEYS = ("bps", "side", "reverts")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ShockError(ValueError):
    """An entry of a script cannot be used; `key` says where, the text what to change."""

    def __init__(self, key: tuple[str, ...], text: str) -> None:
        super().__init__(text)
        self.key = key


def standard(
    specs: Sequence[SymbolSpec], directions: Mapping[str, int | None], from_ns: int, until_ns: int, seed: int = 1
) -> list[Shock]:
    """Return the standard script for the time from `from_ns` up to `until_ns`; nothing happens in its first half hour.

    Args: `specs` of the symbols to be shocked, with their hours; `directions` +1 for what is held long, -1 short, None
        where that is not known beforehand: moves go down then.
    Raises: ValueError, one line, when there is not enough time.
    """
    shocks = [each for spec in specs for each in _every_kind(spec.name, directions.get(spec.name) or 1)]
    slots = _open_slots(specs, from_ns + _WARM_UP_S * SECOND_NS, until_ns)
    if len(slots) < len(shocks):
        hours = len(shocks) * _SLOT_NS / 3.6e12
        raise ValueError(
            f"the standard script has {len(shocks)} shocks, which take {hours:.1f} hours of open market after the "
            f"first half hour; there are {len(slots) * _SLOT_NS / 3.6e12:.1f}"
        )
    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(len(slots), len(shocks), replace=False))
    late_s = random.integers(0, _DRAWN_S, len(shocks))
    order = random.permutation(len(shocks))
    return [
        Shock(kind, name, slots[slot] + int(late) * SECOND_NS, duration_s, size, side, move_bps, reverts)
        for slot, late, (kind, name, duration_s, size, side, move_bps, reverts) in zip(
            chosen, late_s, [shocks[i] for i in order], strict=True
        )
    ]


def _every_kind(name: str, direction: int) -> list[tuple[str, str, float, float | None, str | None, float, bool]]:
    found = []
    for kind, (duration_s, size) in USUAL.items():
        side = None if kind != "empty-side" else SIDES[0] if direction > 0 else SIDES[1]
        against_bps = -direction * (GAP_BPS if kind == "gap" else MOVE_BPS)
        for has_move in (False, True):  # a gap without a move is one that comes back
            move_bps = against_bps if has_move or kind == "gap" else 0.0
            found.append((kind, name, duration_s, size, side, move_bps, kind == "gap" and not has_move))
    return found


def _open_slots(specs: Sequence[SymbolSpec], from_ns: int, until_ns: int) -> list[int]:
    """Return the begins of slots that lie wholly within the open hours of every symbol."""
    hours = [SymbolHours(spec) for spec in specs]
    slots = []
    for begin_ns in range(from_ns // SECOND_NS * SECOND_NS, until_ns - _SLOT_NS, _SLOT_NS):
        minutes = range(begin_ns, begin_ns + _SLOT_NS, 60 * SECOND_NS)
        if all(each.is_open(minute_ns) is not False for each in hours for minute_ns in minutes):
            slots.append(begin_ns)
    return slots


def shocks_of(content: Mapping[str, Any], directions: Mapping[str, int | None]) -> list[Shock]:
    """Return the shocks of a script, as its YAML file reads: a list under `shocks`.

    Each has `kind`, `symbol`, `at` (ISO 8601, UTC where it names no zone), and may have `for_s`, `size`, `side` of an
    empty side (bid or ask), and `move`: `bps`, its `side` (up, down or against) and `reverts`.
    Raises: ShockError.
    """
    if unknown := [key for key in content if key != "shocks"]:
        raise ShockError((unknown[0],), "is not known; a script has `shocks` and nothing else")
    entries = content.get("shocks")
    if not isinstance(entries, list) or not entries:
        raise ShockError(("shocks",), "should be a list of at least one shock")
    return [_shock(entry, ("shocks", str(i)), directions) for i, entry in enumerate(entries)]


def _shock(entry: Any, key: tuple[str, ...], directions: Mapping[str, int | None]) -> Shock:
    _check_keys(entry, key, _KEYS, ("kind", "symbol", "at"))
    kind, symbol = str(entry["kind"]), str(entry["symbol"])
    if kind not in USUAL:
        raise ShockError((*key, "kind"), f"{kind!r} is no kind of shock; there are: {', '.join(USUAL)}")
    duration_s, size = USUAL[kind]
    direction = directions.get(symbol)
    side = entry.get("side")
    if kind == "empty-side" and side is None:
        side = SIDES[1] if direction == -1 else SIDES[0]
    move_bps, reverts = _move(entry.get("move"), (*key, "move"), symbol, direction)
    try:
        return Shock(
            kind,
            symbol,
            _at_ns(entry["at"], (*key, "at")),
            _number(entry, "for_s", key, duration_s) or 0.0,
            _number(entry, "size", key, size),
            side,
            move_bps,
            reverts,
        )
    except ShockError:
        raise
    except ValueError as error:
        raise ShockError(key, str(error)) from None


def _move(move: Any, key: tuple[str, ...], symbol: str, direction: int | None) -> tuple[float, bool]:
    if move is None:
        return 0.0, False
    _check_keys(move, key, _MOVE_KEYS, ("bps", "side"))
    bps, side, reverts = _number(move, "bps", key, None), move["side"], move.get("reverts", False)
    if bps is None or not bps > 0:
        raise ShockError((*key, "bps"), f"is how far the price moves, above 0; its side says where to, not {bps}")
    if not isinstance(reverts, bool):
        raise ShockError((*key, "reverts"), f"is true or false, not {reverts!r}")
    if side not in (AGAINST, UP, DOWN):
        raise ShockError((*key, "side"), f"is {AGAINST}, {UP} or {DOWN}, not {side!r}")
    if side == AGAINST and direction is None:
        text = f"is {AGAINST}, but nothing says beforehand on which side {symbol} is held; write {UP} or {DOWN}"
        raise ShockError((*key, "side"), text)
    sign = -direction if side == AGAINST and direction is not None else 1 if side == UP else -1
    return sign * bps, reverts


def _check_keys(entry: Any, key: tuple[str, ...], known: Sequence[str], needed: Sequence[str]) -> None:
    if not isinstance(entry, Mapping):
        raise ShockError(key, f"should have the keys {', '.join(needed)}")
    for word in entry:
        if word not in known:
            raise ShockError((*key, str(word)), f"is not known; there are: {', '.join(known)}")
    for word in needed:
        if entry.get(word) is None:
            raise ShockError((*key, word), "is missing")


def _number(entry: Mapping[str, Any], name: str, key: tuple[str, ...], usual: float | None) -> float | None:
    given = entry.get(name)
    if given is None:
        return usual
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise ShockError((*key, name), f"is a number, not {given!r}")
    return float(given)


def _at_ns(given: Any, key: tuple[str, ...]) -> int:
    try:
        moment = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    except ValueError:
        raise ShockError(key, f"is a time such as 2026-01-05T08:30, not {given!r}") from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000
