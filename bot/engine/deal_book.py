"""Every deal of the account, told once: what it was, and who did it.

How it works: deals come with execution events and in the venue's lists. Each is put down when it is first heard of, and
handed out with the next decision, when the order flow knows which orders were ours. Whether a deal moved a position
here is another question (`bot.account.portfolio`): a reconcile may have been first.

Invariant: a deal id is handed out once, whatever tells of it and in whatever order; what an earlier run's ledger has is
not handed out again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bot.account.portfolio import Portfolio
from bot.account.position import Deal, Position
from bot.engine import events as ev
from bot.engine.decision import CountedDeal, OrderChange
from bot.engine.fill_watch import FillWatch
from bot.engine.order_flow import OrderFlow
from bot.execution.orders import OrderSnapshot

_ALTERATIONS = ("amend", "cancel")
_UNNAMED_KEPT = 1000
_NAMES_KEPT = 1000  # of orders, the newest: a deal that comes late comes within minutes


@dataclass(frozen=True, slots=True)
class _Heard:
    """A deal as it was first told; `may_be_ours` says that a close of ours was on its way to its position."""

    deal: Deal
    order: OrderSnapshot | None
    client_order_id: str | None
    is_own: bool
    may_be_ours: bool
    is_listed: bool


class DealBook:
    """The deals that nobody has been told of yet. Args: `label` marks our own orders."""

    def __init__(self, label: str, portfolio: Portfolio, orders: OrderFlow) -> None:
        self._label = label
        self._portfolio = portfolio
        self._orders = orders
        self._names: dict[int, str] = {}
        self._kept: set[int] = set()  # ids of deals that an earlier run has told
        self._told: set[int] = set()  # ids, those of paper negative: a week has thousands, and a number is small
        self._own_positions: set[int] = set()
        self._own_ids: dict[int, str] = {}  # of orders, by the venue's id
        self._heard: list[_Heard] = []
        self._began_ns: int | None = None

    def load(self, names: Mapping[int, str], now_ns: int) -> None:
        """Take the names of the loaded symbols by their ids: deals in others wait until they are loaded, too."""
        self._names = dict(names)
        self._began_ns = now_ns if self._began_ns is None else self._began_ns

    def executed(self, event: ev.ExecutionReported) -> None:
        """Take a deal of an execution event; call it before the position has moved."""
        if event.order is not None and event.client_order_id is not None:
            self._name(event.order.order_id, event.client_order_id)
        deal = event.deal
        if deal is None or not self._is_news(deal):
            return
        is_own = self._is_own(deal, event.position, event.order)
        may_be_ours = self._orders.may_close(deal.position_id)
        self._heard.append(_Heard(deal, event.order, event.client_order_id, is_own, may_be_ours, is_listed=False))

    def held(self, positions: Iterable[Position]) -> None:
        """Take positions that are open, as the venue lists them: one of ours may be gone when its deal comes."""
        self._own_positions.update(p.position_id for p in positions if self._portfolio.is_ours(p))

    def left(self, position_ids: Iterable[int]) -> None:
        """Take positions of ours that an earlier run has left open: they may be gone."""
        self._own_positions.update(position_ids)

    def keep(self, deal_ids: Iterable[int]) -> None:
        """Take the ids of the deals that an earlier run has told; none where its account is another."""
        self._kept = set(deal_ids)

    def listed(self, event: ev.OrderHistoryListed) -> None:
        """Take the deals of a history that no event has told of."""
        orders = {order.order_id: order for order in event.orders}
        for deal in event.deals:
            order = orders.get(deal.order_id)
            is_own = self._is_own(deal, None, order)  # told before or not: it says whose the position is
            if self._is_news(deal):
                own_id = order.client_order_id if order is not None else None
                self._heard.append(_Heard(deal, order, own_id, is_own, may_be_ours=False, is_listed=True))

    def take(self, changes: tuple[OrderChange, ...], fills: FillWatch) -> list[CountedDeal]:
        """Return the deals since the last call. Args: `changes` of our orders, which name those the lists resolved."""
        for change in changes:
            if change.order_id is not None and change.order.action not in _ALTERATIONS:
                self._name(change.order_id, change.order.client_order_id)
        if not self._heard:
            return []
        # A symbol that somebody else has begun to trade is loaded a moment after its first deal.
        named = [each for each in self._heard if each.deal.symbol_id in self._names]
        self._heard = [each for each in self._heard if each.deal.symbol_id not in self._names][-_UNNAMED_KEPT:]
        return [self._counted(each, fills) for each in named]

    def _name(self, order_id: int, own_id: str) -> None:
        self._own_ids.setdefault(order_id, own_id)
        if len(self._own_ids) > _NAMES_KEPT:
            del self._own_ids[next(iter(self._own_ids))]

    def _is_news(self, deal: Deal) -> bool:
        key = -deal.deal_id if deal.paper else deal.deal_id
        if key in self._told or key in self._kept:
            return False
        self._told.add(key)
        return True

    def _is_own(self, deal: Deal, after: Position | None, order: OrderSnapshot | None) -> bool:
        """Return whether the position that a deal moved is ours."""
        held = self._portfolio.position(deal.position_id) or after
        if held is not None:
            is_own = self._portfolio.is_ours(held)
        else:
            is_opening = order is not None and not order.closing
            is_own = self._portfolio.is_own_label(order.label) if order is not None and is_opening else False
        if is_own:
            self._own_positions.add(deal.position_id)
        return is_own or deal.position_id in self._own_positions

    def _counted(self, heard: _Heard, fills: FillWatch) -> CountedDeal:
        deal = heard.deal
        cause, own_id = self._cause(heard), None
        decision_mid = predicted_bps = None
        if cause == "ours":
            own_id = heard.client_order_id or self._own_ids.get(deal.order_id)
            decision_mid, predicted_bps = fills.decided(own_id)
        name = self._names[deal.symbol_id]
        return CountedDeal(deal, name, own_id, cause, decision_mid, predicted_bps, is_own=heard.is_own)

    def _cause(self, heard: _Heard) -> str:
        deal, order = heard.deal, heard.order
        if order is not None and order.is_stop_out:
            return "stop_out"
        if order is not None and order.order_type == "stop_loss_take_profit":
            return "protection"
        own_id = heard.client_order_id or self._own_ids.get(deal.order_id)
        if heard.may_be_ours or self._orders.is_ours(own_id, deal.order_id):
            return "ours"
        if order is None:
            return "unknown"
        if order.client_order_id is not None and order.label == self._label and not order.closing:
            return "ours"  # an earlier run's
        # A close carries no id of ours, so what an earlier run closed looks like anybody's.
        is_before = self._began_ns is None or deal.executed_ns < self._began_ns
        return "unknown" if heard.is_listed and order.closing and heard.is_own and is_before else "manual"
