"""Asks the broker what margin new orders would use, and compares the answers with our own figures.

How it works: leverage tiers cut a symbol's open volume into regions, in each of which margin is proportional to volume.
One question per symbol has a volume for every region that an order can reach: our own figure for the same new order, on
top of what is open on its side, must agree. The broker is asked at READY, again when the account's leverage, the tiers
or the rules of margin change, and when an order could reach a region that is new; never in the middle of an order.

- The broker expects more: its figure counts, as a factor on the symbol's margin. More by over the tolerance: our rules
  are wrong, and the symbol may not grow.
- The broker expects less: ours counts; the difference is told.
- No answer yet: no growth. Asked again every 10 s; a broker that has left three questions unanswered is told of once,
  and growth goes on by our own figures within the first region that an order can reach, where only the margin that the
  broker states for each position can prove us wrong. It is asked again every five minutes.

Whether the broker counts what is open is not documented; one that starts at the lowest tier expects less than we do.
Every ten minutes, and every minute while there is a difference, the question is put again: margins are raised without a
word. What was known stays known meanwhile.
Source: ProtoOAExpectedMarginReq, ProtoOADynamicLeverage.
"""

import math
from dataclasses import dataclass, field

from bot.account.margin import MarginRules, Tiers
from bot.account.new_orders import GrowthBar
from bot.engine.doubts import Doubts
from bot.engine.events import ExpectedMarginStated
from bot.execution.requests import AskExpectedMargin
from bot.market.symbols import SymbolSpec

_SECOND = 1_000_000_000
AGAIN_NS, SELDOM_NS = 10 * _SECOND, 300 * _SECOND
CHECK_NS, DOUBT_NS = 600 * _SECOND, 60 * _SECOND
PATIENCE = 3
_SETTLE_NS = _SECOND
_MOST_VOLUMES = 10
_WITHIN = 0.95  # of what is left of a region: prices move while the question is on its way
_SIDES = (0, 1)  # long, short


@dataclass(slots=True)
class _Asked:
    """What is known of one symbol's expected margin."""

    key: tuple[object, ...] = ()
    asked_ns: int = -1
    next_ns: int = 0
    check_ns: int = 0  # when to ask although every region is known
    unanswered: int = 0
    open_units: tuple[float, float] = (0.0, 0.0)  # when the question was put
    known_usd: list[float] = field(default_factory=lambda: [0.0, 0.0])
    factor: float = 1.0
    bar: GrowthBar | None = None
    doubt: str | None = None


@dataclass(frozen=True, slots=True)
class SymbolMargin:
    """What our own figure for a new order of one symbol rests on.

    Units: `open_units` (long, short) of the venue's positions, base units; `unit_notional` and `unit_usd` value of one
    base unit in deposit currency and in USD; `reach_usd` the largest open volume of a side that our limits allow;
    `minor_unit` of the deposit currency.   Missing: NaN prices; `tiers` None.
    """

    rules: MarginRules
    tiers: Tiers | None
    open_units: tuple[float, float]
    unit_notional: float
    unit_usd: float
    reach_usd: float
    minor_unit: float

    def region_end(self, usd: float) -> float:
        """Return where the region of an open volume ends, USD; infinite in the last one, and without tiers."""
        if not self.tiers:
            return math.inf
        for upper, _ in self.tiers[:-1]:  # asked a dozen times a second
            if usd < upper:
                return upper
        return math.inf

    def added(self, side: int, units: float) -> float:
        """Return our margin of a new order, on top of what is open on its side; NaN unknown."""

        def margin(total: float) -> float:
            return self.rules.side_margin(total * self.unit_notional, total * self.unit_usd, self.tiers)

        held = self.open_units[side]
        return margin(held + units) - (margin(held) if held else 0.0)


def volumes_to_ask(spec: SymbolSpec, own: SymbolMargin) -> tuple[int, ...]:
    """Return the volumes whose answers tell of every region that an order can reach, ascending, 0.01 base unit.

    The smallest one, the largest one of the region that what is open reaches (margin is rounded, and the smallest order
    has little of it), and for each side one that ends in the middle of each region above: as far as our limits and the
    largest single order go.
    """
    chosen = {spec.least_volume_cents}
    for side in _SIDES:
        usd = own.open_units[side] * own.unit_usd
        last = min(max(own.reach_usd, usd), usd + spec.max_volume_cents / 100 * own.unit_usd)
        end = own.region_end(usd)
        chosen.add(spec.round_volume((min(end, last) - usd) / own.unit_usd * _WITHIN * 100))
        while end < last and len(chosen) < _MOST_VOLUMES:
            middle = (end + min(own.region_end(end), last)) / 2
            chosen.add(spec.round_volume((middle - usd) / own.unit_usd * 100))
            end = own.region_end(end)
    return tuple(sorted(chosen - {0}))


class MarginWatch:
    """The broker's expected margin of each traded symbol. `doubts` is another object when it has changed."""

    def __init__(self, tolerance_frac: float) -> None:
        self._tolerance = tolerance_frac
        self._asked: dict[int, _Asked] = {}
        self._specs: tuple[SymbolSpec, ...] = ()
        self.doubts: Doubts = {}

    def load(self, specs: tuple[SymbolSpec, ...]) -> None:
        """Take the traded symbols; what is known of those that were there stays known."""
        self._specs = specs
        self._asked = {spec.symbol_id: self._asked.get(spec.symbol_id, _Asked()) for spec in specs}
        self._tell()

    def link_lost(self) -> None:
        """Forget the questions that nobody will answer."""
        for asked in self._asked.values():
            asked.asked_ns, asked.next_ns, asked.check_ns = -1, 0, 0

    def is_unasked(self, s: int) -> bool:
        """Return whether a symbol's first question has not been put yet."""
        asked = self._asked[self._specs[s].symbol_id]
        return asked.asked_ns < 0 and not any(asked.known_usd)

    def is_awaited(self, s: int, now_ns: int) -> bool:
        """Return whether the answer without which a symbol cannot grow is on its way, as it should be for a moment."""
        asked = self._asked[self._specs[s].symbol_id]
        return asked.asked_ns >= 0 and not any(asked.known_usd) and now_ns - asked.asked_ns < _SETTLE_NS

    def known(self, s: int) -> tuple[float, tuple[float, float], GrowthBar | None]:
        """Return the factor of a traded symbol's margin, how far each side is known in USD, and why it may not grow."""
        asked = self._asked[self._specs[s].symbol_id]
        bar = asked.bar
        if bar is None and not any(asked.known_usd):
            bar = GrowthBar(None, None, f"the broker has not yet said what margin {self._specs[s].name} takes; asked")
        return asked.factor, (asked.known_usd[0], asked.known_usd[1]), bar

    def ask(self, s: int, own: SymbolMargin, now_ns: int) -> AskExpectedMargin | None:
        """Return the question to put about a symbol now; None while nothing is to be asked."""
        spec = self._specs[s]
        asked = self._asked[spec.symbol_id]
        key = (own.rules, own.tiers, spec.least_volume_cents, spec.max_volume_cents)
        if key != asked.key:
            self._asked[spec.symbol_id] = asked = _Asked(key=key)
            self._tell()
        if now_ns < asked.next_ns or not own.unit_notional > 0 or not (own.unit_usd > 0 or own.tiers == ()):
            return None
        if own.tiers is None or own.rules.leverage is None:
            return None  # then margin itself is unknown, and refuses
        if asked.asked_ns >= 0:
            asked.unanswered += 1
            self._note_silence(asked, spec, own)
        volumes = volumes_to_ask(spec, own)
        if self._is_known(asked, own, volumes) and now_ns < asked.check_ns:
            return None
        asked.asked_ns, asked.open_units = now_ns, own.open_units
        asked.next_ns = now_ns + (AGAIN_NS if asked.unanswered < PATIENCE else SELDOM_NS)
        return AskExpectedMargin(spec.symbol_id, volumes)

    def _is_known(self, asked: _Asked, own: SymbolMargin, volumes: tuple[int, ...]) -> bool:
        """Return whether the answers so far reach as far as an order can."""
        largest = volumes[-1] / 100 if volumes else 0.0
        ends = [own.region_end((own.open_units[side] + largest) * own.unit_usd) for side in _SIDES]
        return all(known >= end for known, end in zip(asked.known_usd, ends, strict=True))

    def _note_silence(self, asked: _Asked, spec: SymbolSpec, own: SymbolMargin) -> None:
        if any(asked.known_usd):
            return  # what was heard before still holds, as far as it goes
        if asked.unanswered < PATIENCE:
            asked.doubt = f"the broker has not said yet what margin {spec.name} takes: no growth until it does"
            self._tell()
            return
        asked.known_usd = [own.region_end(own.open_units[side] * own.unit_usd) for side in _SIDES]
        asked.doubt = (
            f"the broker does not answer what margin {spec.name} takes: our own figures count, within one leverage tier"
        )
        self._tell()

    def answered(self, s: int, own: SymbolMargin, event: ExpectedMarginStated) -> None:
        """Take the broker's answer. One that belongs to another picture of what is open is asked for again."""
        spec = self._specs[s]
        asked = self._asked[spec.symbol_id]
        if asked.asked_ns < 0:
            return
        asked.unanswered = 0
        if asked.open_units != own.open_units or not event.margins:
            asked.asked_ns = -1
            asked.next_ns = event.recv_ns + _SETTLE_NS
            return
        gaps = [
            (float(told), own.added(side, cents / 100), side, cents)
            for cents, buy, sell in event.margins
            for side, told in zip(_SIDES, (buy, sell), strict=True)
        ]
        if any(math.isnan(ours) for _, ours, _, _ in gaps):
            asked.asked_ns, asked.next_ns = -1, event.recv_ns + _SETTLE_NS
            return
        self._judge(asked, spec, own, gaps)
        asked.asked_ns, asked.next_ns = -1, event.recv_ns + _SETTLE_NS
        asked.check_ns = event.recv_ns + (CHECK_NS if asked.doubt is None else DOUBT_NS)
        largest = max(cents for cents, _, _ in event.margins) / 100
        for side in _SIDES:
            end = own.region_end((own.open_units[side] + largest) * own.unit_usd)
            asked.known_usd[side] = max(asked.known_usd[side], end)
        self._tell()

    def _judge(
        self, asked: _Asked, spec: SymbolSpec, own: SymbolMargin, gaps: list[tuple[float, float, int, int]]
    ) -> None:
        asked.factor, asked.bar, asked.doubt = 1.0, None, None
        worst_over = worst_under = 0.0
        for told, ours, side, cents in gaps:
            if abs(told - ours) <= own.minor_unit:
                continue  # rounding
            over = told / ours - 1 if ours > 0 else math.inf
            under = ours / told - 1 if told > 0 else math.inf
            asked.factor = max(asked.factor, 1 + over) if math.isfinite(over) else asked.factor
            what = (
                f"{'buying' if side == 0 else 'selling'} {cents / 100:,.10g} {spec.name} takes {told:,.2f} of margin "
                f"by the broker and {ours:,.2f} by our rules"
            )
            if over > self._tolerance and over > worst_over:
                worst_over, asked.doubt = over, what
                reason = f"{what}: see `microlev doctor`, ask the broker, or raise risk.expected_margin_tolerance_frac"
                asked.bar = GrowthBar(over, self._tolerance, reason)
            elif under > self._tolerance and asked.bar is None and under > worst_under:
                worst_under, asked.doubt = under, what

    def _tell(self) -> None:
        names = {spec.symbol_id: spec.name for spec in self._specs}
        told = {f"expected_margin:{names[i]}": a.doubt for i, a in self._asked.items() if a.doubt is not None}
        if told != self.doubts:
            self.doubts = dict(told)
