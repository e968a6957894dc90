"""What the venue tells of positions, deals and orders, entered into the portfolio, the order flow and the guard."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bot.account.portfolio import Portfolio
from bot.account.position import Position
from bot.engine import events as ev
from bot.engine import news
from bot.engine.account_guard import AccountGuard
from bot.engine.deal_book import DealBook
from bot.engine.decision import Notice
from bot.engine.foreign_orders import ForeignOrders
from bot.engine.kept_wishes import KeptWishes
from bot.engine.lagging import lagging_positions
from bot.engine.left_positions import LeftPositions
from bot.engine.order_flow import OrderFlow
from bot.engine.settings import EngineSettings
from bot.execution.orders import OrderSnapshot
from bot.market.symbols import SymbolSpec

_RESTS = ("accepted", "replaced", "partially_filled")
_MAY_FILL = ("filled", "partially_filled", "cancelled", "expired")


class Bookkeeping:
    """Enters executions, reconciles and histories, and notices who moved a position of ours.

    `hands_off` holds the ids of traded symbols in which somebody else has closed a position of ours, or a protective
    stop or target of it was reached, in this run or before it; `protected_exits` the ids of those where that came last.
    `foreign` holds other people's resting orders, None where they are left alone.
    """

    def __init__(self, settings: EngineSettings, portfolio: Portfolio, orders: OrderFlow, guard: AccountGuard) -> None:
        self.hands_off: set[int] = set()
        self._wishes = KeptWishes()
        self.foreign = ForeignOrders(orders, settings.label, self._wishes) if settings.manage_all else None
        self.deals = DealBook(settings.label, portfolio, orders)
        self.protected_exits: set[int] = set()
        self._settings = settings
        self._portfolio = portfolio
        self._orders = orders
        self._guard = guard
        self.loaded: ev.SymbolsLoaded | None = None
        self._loaded: dict[int, tuple[int, SymbolSpec]] = {}
        self._traded: dict[int, tuple[int, SymbolSpec]] = {}
        self._notices: list[Notice] = []
        self._names: dict[int, str] = {}
        self._restored: tuple[ev.OpenIntent, ...] = ()
        self._version = 0
        self._restored_off: set[int] = set()  # as an earlier run has left the two, until symbols are loaded
        self._restored_exits: set[int] = set()
        self._has_reconciled = False
        self._left = LeftPositions(portfolio, orders)
        self._guessed: set[int] = set()  # symbols left alone until the lists have told who has closed there

    def take(self, event: ev.Event) -> None:
        """Take an event about the account that is no execution."""
        match event:
            case ev.AccountLoaded():
                self._account_loaded(event)
            case ev.MarginStated():
                self.margin_stated(event)
            case ev.StopTrailed():
                self._portfolio.trail_stop(event.position_id, event.stop_loss)
            case ev.LeverageTiersLoaded():
                self._guard.tiers_loaded(event.leverage_id, event.tiers)
            case ev.Reconciled():
                self.reconciled(event)
            case ev.OrderHistoryListed():
                self.history_listed(event)
            case ev.CashFlowStated():
                self._cash_flow_stated(event)
            case ev.HostChecked():
                self._guard.limits.host(event)
            case ev.GuardRestored():
                self._guard.restore(event.content)
                self._restore(event.content)
            case ev.IntentsRestored():
                self._guard.sent_before(event.sent_ns)
                self.deals.keep(event.deal_ids)
                self._restored = event.intents
                if event.since_ns is not None:
                    self._orders.catch_up(event.since_ns)

    def _account_loaded(self, event: ev.AccountLoaded) -> None:
        was_another = self._guard.is_another_account
        self._notices += news.account_changed(self._guard.account, event.account)
        self._guard.account_loaded(event.account, event.recv_ns)
        if self._guard.is_another_account and not was_another:
            self._forget_restored_hands_off()
            self._wishes.forget()
            self._left.forget()
            self.deals.keep(())
            self._notices.append(news.another_account())

    def symbols_loaded(self, event: ev.SymbolsLoaded, index: Mapping[int, int]) -> None:
        """Take the symbols; `index` is the array index of each symbol id."""
        self.loaded = event
        self._loaded = {spec.symbol_id: (i, spec) for i, spec in enumerate(event.symbols)}
        self._traded = {symbol_id: at for symbol_id, at in self._loaded.items() if at[0] < event.traded_count}
        self._names = {spec.symbol_id: spec.name for spec in event.symbols}
        self._portfolio.set_symbols(index)
        self._orders.found.place(index)
        self.deals.load(self._names, event.recv_ns)
        if self._guard.is_another_account:
            self._orders.discard(self._restored)
        else:
            self._orders.restore(self._restored, self._loaded)
            for symbol_id in sorted(self._restored_off):
                self._keep_hands_off(symbol_id, protected=symbol_id in self._restored_exits)
        self._restored = ()
        self._forget_restored_hands_off()
        self._guard.changed()

    def reconciled(self, event: ev.Reconciled) -> None:
        """Take the venue's own list of positions and orders."""
        self.deals.held(event.positions)
        self.deals.left(self._left.ids())
        for before, after in self._portfolio.reconcile(event.positions):
            known = before or after
            assert known is not None
            if self._has_reconciled:
                is_ours = self._portfolio.is_ours(known)
                self._notices.append(news.differs(before, after, self._name(known.symbol_id), is_ours=is_ours))
            # Less of ours than before, and no order of ours that could have done it: somebody else did.
            is_less = before is not None and (after is None or abs(after.volume_cents) < abs(before.volume_cents))
            if is_less and self._portfolio.is_ours(known) and not self._orders.has_open(known.symbol_id):
                has_leg = (known.stop_loss, known.take_profit) != (None, None)
                self._keep_hands_off_untold(known.symbol_id, has_leg=has_leg)
        self._has_reconciled = True
        for left in self._left.reconciled(netted=self._guard.is_netted):
            if left.symbol_id not in self.hands_off:
                self._keep_hands_off_untold(left.symbol_id, has_leg=left.has_leg)
                self._guessed |= self.hands_off & {left.symbol_id}
        self._version += self._left.note()
        for order in event.orders:
            # In a symbol that is not traded only what rests is of interest: it is to be taken back.
            is_wanted = order.symbol_id in self._traded or order.order_type == "limit"
            if is_wanted and order.symbol_id in self._loaded and order.label == self._settings.label:
                self._orders.found.adopt(order, *self._loaded[order.symbol_id], event.recv_ns)
        self._orders.listed(event.orders)
        if self.foreign is not None:
            for order in event.orders:
                self._meet(self.foreign, order, event.recv_ns)
            self.foreign.drop_paper(order.order_id for order in event.orders)
        self._version += self._wishes.forget_ended(event.orders, {o.client_order_id for o in self._orders.look()})
        self._guard.changed()

    def history_listed(self, event: ev.OrderHistoryListed) -> None:
        """Take the venue's lists of orders and deals: unknown orders may be resolved by them."""
        self.deals.listed(event)
        lagging = lagging_positions(event, self._portfolio)
        self._portfolio.mark_seen(deal.deal_id for deal in event.deals if deal.position_id not in lagging)
        for deal in event.deals:
            # The event that would have told of this balance may have been lost; an older one is passed over.
            if deal.balance is not None and deal.balance_version is not None:
                self._portfolio.set_balance(deal.balance, deal.balance_version)
        self._orders.history(event, lagging)
        self._account_for_left(event)
        if self.foreign is not None:
            self.foreign.observe()

    def _account_for_left(self, event: ev.OrderHistoryListed) -> None:
        """Take who has closed while no bot ran, now that the lists tell: as if it had been seen."""
        exits = self._left.listed(event)
        for symbol_id in {each.left.symbol_id for each in exits} & self._guessed:
            if not self._left.is_missing_in(symbol_id):
                self._guessed.remove(symbol_id)
                self.hands_off.discard(symbol_id)
                self.protected_exits.discard(symbol_id)
        for each in exits:
            if each.cause == "unknown":
                self._keep_hands_off_untold(each.left.symbol_id, has_leg=each.left.has_leg)
            elif each.cause != "ours":
                self._keep_hands_off(each.left.symbol_id, protected=each.cause == "protection")
        self._version += bool(exits)

    def executed(self, event: ev.ExecutionReported) -> None:
        """Take what happened to an order, a position or the balance."""
        self.deals.executed(event)
        if event.deal is not None:
            label = event.order.label if event.order is not None else None
            before = self._portfolio.position(event.deal.position_id)
            counted = self._portfolio.apply_deal(event.deal, label=label, snapshot=event.position)
            if event.position is not None and not event.paper and not self._portfolio.agrees_with(event.position):
                self._orders.doubt()
            if counted and before is not None:
                self._notice_foreign_close(event, before)
        elif event.position is not None and not event.paper:
            # A fill may be told without its deal: the position is then the only word of it.
            before = self._portfolio.position(event.position.position_id)
            if event.kind == "swap" and (
                told := news.swap_booked(before, event.position, self._name(event.position.symbol_id))
            ):
                self._notices.append(told)
            moved = event.order is not None and event.order.executed_cents > 0 and event.kind in _MAY_FILL
            if moved and not self._portfolio.agrees_with(event.position):
                self._orders.doubt()  # of that deal itself nothing has been heard, and nobody else asks for it
            self._portfolio.update_position(event.position, moved=moved)
        if event.paper and event.position is not None:
            placed = event.position
            self._portfolio.protect_on_paper(placed.position_id, placed.stop_loss, placed.take_profit)
        if event.balance is not None and self._portfolio.set_balance(event.balance, event.balance_version):
            self._transferred(event.balance_change or Decimal(0), event.balance_version)
        if event.paper and event.kind == "cancelled" and event.order is not None:
            self._orders.found.ended_on_paper(event.order.order_id)
        self._version += self._left.note()
        self._orders.executed(event)
        if self.foreign is not None:
            if event.order is not None and event.kind in _RESTS and not event.paper:
                self._meet(self.foreign, event.order, event.recv_ns)
            self.foreign.observe(event)
        self._guard.changed()

    def _meet(self, foreign: ForeignOrders, order: OrderSnapshot, now_ns: int) -> None:
        if order.symbol_id in self._traded:
            foreign.meet(order, *self._traded[order.symbol_id], now_ns, netted=self._guard.is_netted)

    def commanded(self, event: ev.CommandGiven) -> None:
        """Take a person's `halt`, `flatten` or `resume`."""
        if event.command == "resume" and event.cause == "by_hand":
            self.hands_off.clear()
            self.protected_exits.clear()
            self._forget_restored_hands_off()
            self._guessed.clear()
            self._left.accounted()
            self._version += 1
        self._guard.commanded(event)

    @property
    def version(self) -> int:
        """Grows with every change of what `memory` returns."""
        return self._version + self.wishes_version

    @property
    def wishes_version(self) -> int:
        """Grows with every change of the owners' wishes."""
        return self.foreign.version if self.foreign is not None else 0

    def memory(self) -> dict[str, object]:
        """Return what a later run is to know.

        That is: the symbols that hands are kept off, until a person says `resume`; our positions; and what the owners
        of orders that we have altered would have them be.
        """
        exits = self._restored_exits | (self.hands_off & self.protected_exits)
        return {
            "hands_off": sorted(self._restored_off | self.hands_off),
            "protected_exits": sorted(exits),
            "positions": self._left.content(),
            "wishes": self._wishes.content(self.foreign.all() if self.foreign is not None else ()),
        }

    def _restore(self, content: Mapping[str, Any]) -> None:
        """Take what `memory` has returned in an earlier run, if it has. Raises: ValueError for anything else."""
        found = content.get("hands_off", []), content.get("protected_exits", [])
        try:
            self._restored_off, self._restored_exits = ({int(symbol_id) for symbol_id in ids} for ids in found)
        except TypeError as error:
            raise ValueError(f"not the symbols that hands are kept off: {error!r}") from None
        self._left.restore(content.get("positions", []))
        self._wishes.restore(content.get("wishes", []))

    def _forget_restored_hands_off(self) -> None:
        self._restored_off, self._restored_exits = set(), set()

    def take_notices(self) -> list[Notice]:
        """Return what a person should know of what has happened since the last call."""
        taken, self._notices = self._notices, []
        return taken

    def _transferred(self, change: Decimal, balance_version: int | None) -> None:
        if change and self._guard.deposited(float(change), balance_version):
            self._notices.append(news.transferred(change, "now"))

    def _cash_flow_stated(self, event: ev.CashFlowStated) -> None:
        for change in self._guard.cash_flow_stated(event):
            self._notices.append(news.transferred(change.delta, "without our hearing of it"))

    def margin_stated(self, event: ev.MarginStated) -> None:
        """Take what margin the broker asks for a position from now on."""
        self._portfolio.state_margin(event.position_id, event.used_margin)
        self._guard.changed()

    def _notice_foreign_close(self, event: ev.ExecutionReported, before: Position) -> None:
        """Keep away from a symbol after somebody else, or the venue itself, reduced a position of ours in it."""
        assert event.deal is not None
        reduced = before.volume_cents * event.deal.volume_cents < 0
        is_protection = event.order is not None and event.order.order_type == "stop_loss_take_profit"
        ours = self._orders.is_ours(event.client_order_id, event.deal.order_id)
        # A leg may be reached with a close of ours on its way: it is the leg all the same.
        ours = ours or self._orders.may_close(event.deal.position_id)
        if reduced and self._portfolio.is_ours(before) and (is_protection or not ours):
            self._keep_hands_off(before.symbol_id, protected=is_protection)

    def _name(self, symbol_id: int) -> str:
        return self._names.get(symbol_id, str(symbol_id))

    def _keep_hands_off_untold(self, symbol_id: int, *, has_leg: bool) -> None:
        """Leave a symbol where something of ours was closed and nobody has told by whom: where a hand would not count,
        a position that had a leg is taken to have reached it."""
        self._keep_hands_off(symbol_id, protected=has_leg and not self._settings.respect_manual_close)

    def _keep_hands_off(self, symbol_id: int, *, protected: bool = False) -> None:
        """Leave a symbol to whoever has closed there. A protective exit is always respected: it is our own wish, and
        to enter again at once would undo it."""
        if symbol_id in self._traded and (protected or self._settings.respect_manual_close):
            self.hands_off.add(symbol_id)
            self._guessed.discard(symbol_id)
            self._version += 1
            (self.protected_exits.add if protected else self.protected_exits.discard)(symbol_id)
