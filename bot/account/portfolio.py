"""Positions of the account, built from deals, and what they are worth now.

How it works: the venue's list (`reconcile`) sets the positions; after that every deal moves them, once per deal id.
Paper deals of a dry run are a layer of their own on top of the venue's positions, so that the next list from the venue
does not wipe them out. Sums per symbol are kept as arrays, so that equity and leverage are a few vector operations.

Invariants: a deal id counts once; a balance with an older version never replaces a newer one; volumes are signed.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
from numba import njit

from bot.account.position import Deal, Position

EXPOSURE = np.dtype(
    [
        (name, np.float64)
        for name in ("long_units", "short_units", "long_cost", "short_cost", "own_units", "foreign_units")
    ],
    align=True,
)
"""Sums of the positions of a symbol. Units: base units; costs in quote currency; `own_units` signed."""
_MARK = np.dtype([(name, np.float64) for name in ("bid", "ask", "quote_rate")], align=True)


@dataclass(frozen=True, slots=True)
class Valuation:
    """What the account is worth at one set of prices.

    Shapes: `leverage` (S,), signed, of our own positions. Units: money in deposit currency; leverage in equities.
    Missing: NaN where a price or a conversion is unknown; infinite leverage where no equity is left to divide by.
    """

    equity: float
    leverage: np.ndarray
    foreign_leverage: float  # sum of |leverage| of the positions that are not ours


class Portfolio:
    """Positions by id, the balance, and per-symbol sums.

    Args: `label` marks our own positions; with `manage_all` every position counts as ours.
    """

    def __init__(self, label: str, *, manage_all: bool = False) -> None:
        self._label = label
        self._manage_all = manage_all
        self._venue: dict[int, Position] = {}
        self._paper_deals: dict[int, list[Deal]] = {}  # what a dry run did to real positions, in that order
        self._paper: dict[int, Position] = {}
        self._paper_profit = Decimal(0)
        self._paper_legs: dict[int, tuple[float | None, float | None]] = {}  # protection that a dry run has placed
        self._seen_deals: set[int] = set()  # ids, those of paper negative
        self._index: dict[int, int] = {}
        self._balance: Decimal | None = None
        self._balance_version: int | None = None
        self._positions: dict[int, Position] = {}
        self._charges = 0.0
        self._rebuild_sums()

    # -- what the venue says ------------------------------------------------------------------------------------

    def set_symbols(self, index: Mapping[int, int]) -> None:
        """Give the array index of each symbol id; positions of other symbols are `unpriced`."""
        self._index = dict(index)
        self._refresh()

    def set_balance(self, balance: Decimal, version: int | None) -> bool:
        """Take a balance unless a newer one is known; return whether it was taken."""
        if version is not None and self._balance_version is not None and version < self._balance_version:
            return False
        self._balance, self._balance_version = balance, version if version is not None else self._balance_version
        self._count_cash()
        return True

    def reconcile(self, positions: Iterable[Position]) -> list[tuple[Position | None, Position | None]]:
        """Replace the venue's positions by its own list; the paper layer stays on the positions that still exist.

        Returns: each position whose volume is another than it was, before and after; None where there was, or is, none.
        """
        before = self._venue
        self._venue = {p.position_id: p for p in positions}
        ids = [*before, *(pid for pid in self._venue if pid not in before)]
        pairs = [(before.get(pid), self._venue.get(pid)) for pid in ids]
        self._paper_deals = {pid: deals for pid, deals in self._paper_deals.items() if pid in self._venue}
        self._refresh()
        return [(old, new) for old, new in pairs if old is None or new is None or old.volume_cents != new.volume_cents]

    def apply_deal(self, deal: Deal, *, label: str | None, snapshot: Position | None = None) -> bool:
        """Move a position by one deal; return False when the deal was counted before.

        Args: `label` of the order, used when the deal opens a position; `snapshot` what the venue says the position is
            after the deal: its swap, commission and margin are taken. Where it already has the volume that we hold, a
            reconcile has counted the deal before its event came.
        """
        key = -deal.deal_id if deal.paper else deal.deal_id
        if key in self._seen_deals:
            return False
        self._seen_deals.add(key)
        if deal.paper:
            self._apply_paper(deal, label or "")
        else:
            held = self._venue.get(deal.position_id)
            if snapshot is not None and self.agrees_with(snapshot):
                if deal.balance is not None:
                    self.set_balance(deal.balance, deal.balance_version)
                self.update_position(snapshot)
                return False
            if held is None:
                moved = _opened(deal, label or (snapshot.label if snapshot else ""))
            else:
                moved = _moved(held, deal)
            if moved is None:
                self._venue.pop(deal.position_id, None)
            else:
                if snapshot is None:
                    if held is None or held.volume_cents * deal.volume_cents > 0:
                        moved = replace(moved, commission=moved.commission + deal.commission)
                else:
                    moved = replace(
                        moved,
                        price=snapshot.price,
                        label=snapshot.label,
                        swap=snapshot.swap,
                        commission=snapshot.commission,
                        used_margin=snapshot.used_margin,
                        margin_rate=snapshot.margin_rate,
                        stop_loss=snapshot.stop_loss,
                        take_profit=snapshot.take_profit,
                        is_trailing=snapshot.is_trailing,
                    )
                self._venue[deal.position_id] = moved
            if deal.balance is not None:
                self.set_balance(deal.balance, deal.balance_version)
        self._refresh()
        return True

    def agrees_with(self, snapshot: Position) -> bool:
        """Return whether a position has the volume that the venue says it has; 0 for one that is closed."""
        held = self._venue.get(snapshot.position_id)
        return snapshot.volume_cents == (held.volume_cents if held is not None else 0)

    def mark_seen(self, deal_ids: Iterable[int]) -> None:
        """Say that the positions hold these deals already, as after a reconcile: late events count for nothing."""
        self._seen_deals.update(deal_ids)

    def _apply_paper(self, deal: Deal, label: str) -> None:
        held = self._positions.get(deal.position_id)
        moved = _opened(deal, label) if held is None else _moved(held, deal)
        self._paper_profit += (deal.gross_profit or Decimal(0)) + deal.commission
        if held is not None:
            # What a close takes from the charges of a position goes into the balance, as at the venue.
            kept = Decimal(0) if moved is None else moved.swap + moved.commission
            self._paper_profit += held.swap + held.commission - kept
        if deal.position_id in self._venue:
            self._paper_deals.setdefault(deal.position_id, []).append(deal)
            return
        if moved is None:
            self._paper.pop(deal.position_id, None)
        else:
            self._paper[deal.position_id] = moved

    def update_position(self, snapshot: Position, *, moved: bool = False) -> None:
        """Take what the venue says of a position without a deal: swap, commission, margin.

        Args: `moved` says that it filled something, so that its volume is taken as well, and 0 closes it.
        """
        held = self._venue.get(snapshot.position_id)
        if moved and snapshot.volume_cents == 0:
            self._venue.pop(snapshot.position_id, None)
        elif moved or (held is not None and held.volume_cents == snapshot.volume_cents):
            self._venue[snapshot.position_id] = snapshot
        else:
            return
        self._refresh()

    def protect_on_paper(self, position_id: int, stop_loss: float | None, take_profit: float | None) -> None:
        """Take the protection that the paper venue keeps for a position. Units: prices."""
        self._paper_legs[position_id] = (stop_loss, take_profit)
        self._refresh()

    def trail_stop(self, position_id: int, stop_loss: float) -> None:
        """Take where the venue has moved the trailing stop of a position; a position that is not known is left."""
        held = self._venue.get(position_id)
        if held is not None:
            self._venue[position_id] = replace(held, stop_loss=stop_loss, is_trailing=True)
            self._refresh()

    def state_margin(self, position_id: int, used_margin: Decimal) -> None:
        """Take the margin that the venue states for a position; nothing for one that is not open."""
        held = self._venue.get(position_id)
        if held is not None:
            self._venue[position_id] = replace(held, used_margin=used_margin)
            self._refresh()

    # -- what follows -------------------------------------------------------------------------------------------

    @property
    def balance(self) -> Decimal | None:
        """Balance in deposit currency, paper profit included; None before the account was loaded."""
        return None if self._balance is None else self._balance + self._paper_profit

    @property
    def balance_version(self) -> int | None:
        """The version of the newest balance; None where the broker states none."""
        return self._balance_version

    def positions(self) -> list[Position]:
        """Return every open position, paper layer included, in the order of their ids."""
        return [self._positions[i] for i in sorted(self._positions)]

    def venue_positions(self) -> list[Position]:
        """Return the positions that stand at the venue, without what a dry run has done to them, by their ids."""
        return [self._venue[i] for i in sorted(self._venue)]

    def position(self, position_id: int) -> Position | None:
        """Return one open position, or None."""
        return self._positions.get(position_id)

    def is_ours(self, position: Position) -> bool:
        """Return whether we may trade this position."""
        return self.is_own_label(position.label)

    def is_own_label(self, label: str) -> bool:
        """Return whether a position with this label is one that we may trade."""
        return self._manage_all or label == self._label

    def own_positions(self, symbol_id: int) -> list[Position]:
        """Return our positions of one symbol, the largest first: the one to reduce first."""
        own = [p for p in self._positions.values() if p.symbol_id == symbol_id and self.is_ours(p)]
        return own if len(own) < 2 else sorted(own, key=lambda p: (-abs(p.volume_cents), p.position_id))

    def has_foreign(self, symbol_id: int) -> bool:
        """Return whether somebody else's position stands in this symbol."""
        return any(p.symbol_id == symbol_id and not self.is_ours(p) for p in self._positions.values())

    def own_cents(self, symbol_id: int) -> int:
        """Return our net signed volume of one symbol, 0.01 base unit."""
        return sum(p.volume_cents for p in self.own_positions(symbol_id))

    def unpriced(self) -> list[Position]:
        """Return open positions of symbols that are not loaded: while there are any, equity is unknown."""
        if not self._is_unpriced:
            return []
        return [p for p in self._positions.values() if p.symbol_id not in self._index]

    def sides_units(self) -> tuple[np.ndarray, np.ndarray]:
        """Return long and short volume of each symbol, base units, (S,) each, both positive: what margin is made of."""
        return self._exposure["long_units"], self._exposure["short_units"]

    def own_units(self) -> np.ndarray:
        """Return our net volume of each symbol, base units, (S,), signed."""
        own_units: np.ndarray = self._exposure["own_units"]
        return own_units

    def value(self, bid: np.ndarray, ask: np.ndarray, quote_rate: np.ndarray) -> Valuation:
        """Return equity and leverage at these prices.

        Shapes: (S,) each; `quote_rate` = quote currency into deposit currency.
        Missing: NaN in a symbol without exposure does no harm; in one with exposure it makes equity unknown.
        Source: gross = (bid - price) units q2d for longs, (price - ask) units q2d for shorts; net adds swap and
            commission; equity = balance + net.
        """
        prices = np.empty(len(bid), _MARK)
        prices["bid"], prices["ask"], prices["quote_rate"] = bid, ask, quote_rate
        return self.value_at(prices)

    def value_at(self, prices: np.ndarray) -> Valuation:
        """Return the same from a table with the fields `bid`, `ask` and `quote_rate`, in one compiled pass."""
        if self._balance is None or self._is_unpriced:
            return Valuation(float("nan"), np.full(len(prices), np.nan), float("nan"))
        leverage = np.empty(len(prices))
        equity, foreign = _value(prices, self._exposure, self._cash, leverage)
        return Valuation(equity, leverage, foreign)

    # -- sums ---------------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        merged = dict(self._venue)
        for pid, deals in self._paper_deals.items():
            for deal in deals:
                moved = _moved(merged[pid], deal)
                if moved is None or moved.volume_cents * merged[pid].volume_cents < 0:
                    del merged[pid]  # closed on paper; the owner may have reduced the real one meanwhile
                    break
                merged[pid] = moved
        merged.update(self._paper)
        self._paper_legs = {pid: legs for pid, legs in self._paper_legs.items() if pid in merged}
        for pid, (stop_loss, take_profit) in self._paper_legs.items():
            merged[pid] = replace(merged[pid], stop_loss=stop_loss, take_profit=take_profit, is_trailing=False)
        self._positions = merged
        self._rebuild_sums()

    def _rebuild_sums(self) -> None:
        count = max(self._index.values(), default=-1) + 1
        self._exposure = np.zeros(count, EXPOSURE)
        charges = Decimal(0)
        self._is_unpriced = False
        for p in self._positions.values():
            charges += p.swap + p.commission
            i = self._index.get(p.symbol_id)
            if i is None:
                self._is_unpriced = True
                continue
            units, exposure = p.volume_cents / 100, self._exposure[i]
            if units > 0:
                exposure["long_units"] += units
                exposure["long_cost"] += units * p.price
            else:
                exposure["short_units"] -= units
                exposure["short_cost"] -= units * p.price
            if self.is_ours(p):
                exposure["own_units"] += units
            else:
                exposure["foreign_units"] += abs(units)
        self._charges = float(charges)
        self._count_cash()

    def _count_cash(self) -> None:
        balance = self.balance
        self._cash = float("nan") if balance is None else float(balance) + self._charges


@njit(cache=True, error_model="numpy")
def _value(prices: np.ndarray, exposure: np.ndarray, cash: float, leverage: np.ndarray) -> tuple[float, float]:
    """Return equity and the leverage of other people's positions; write that of ours (see `Portfolio.value`)."""
    equity = cash
    for s in range(len(exposure)):
        e, p = exposure[s], prices[s]
        profit = 0.0
        if e.long_units > 0:
            profit += e.long_units * p.bid - e.long_cost
        if e.short_units > 0:
            profit += e.short_cost - e.short_units * p.ask
        if e.long_units > 0 or e.short_units > 0:
            equity += profit * p.quote_rate
    foreign = 0.0
    for s in range(len(prices)):
        own = exposure[s].own_units if s < len(exposure) else 0.0
        other = exposure[s].foreign_units if s < len(exposure) else 0.0
        if equity <= 0:
            leverage[s] = math.copysign(math.inf, own) if own != 0 else 0.0
            foreign = math.inf if other != 0 else foreign
        elif math.isnan(equity):
            leverage[s] = foreign = math.nan
        else:
            unit_notional = (prices[s].bid + prices[s].ask) / 2 * prices[s].quote_rate / equity
            leverage[s] = own * unit_notional if own != 0 else 0.0
            foreign += other * unit_notional if other != 0 else 0.0
    return equity, foreign


def _opened(deal: Deal, label: str) -> Position | None:
    """Return the position that a deal opens; None when all of it closed one that is gone already."""
    opened = abs(deal.volume_cents) - deal.closed_volume_cents
    if opened <= 0:
        return None
    return Position(
        position_id=deal.position_id,
        symbol_id=deal.symbol_id,
        volume_cents=opened if deal.volume_cents > 0 else -opened,
        price=deal.price,
        label=label,
        opened_ns=deal.executed_ns,
    )


def _moved(held: Position, deal: Deal) -> Position | None:
    """Return the position after a deal; None when it closes it.

    Increases move the price; reductions do not, and take their share of swap and commission with them.
    """
    volume = held.volume_cents + deal.volume_cents
    if volume == 0:
        return None
    if held.volume_cents * deal.volume_cents > 0:
        price = (held.volume_cents * held.price + deal.volume_cents * deal.price) / volume
        return replace(held, volume_cents=volume, price=price)
    if held.volume_cents * volume > 0:
        share = Decimal(volume) / held.volume_cents
        return replace(held, volume_cents=volume, swap=held.swap * share, commission=held.commission * share)
    # A netted position that changed side; what protected the other side protects nothing here.
    moved = replace(held, volume_cents=volume, price=deal.price, swap=Decimal(0), commission=Decimal(0))
    return replace(moved, stop_loss=None, take_profit=None, is_trailing=False)
