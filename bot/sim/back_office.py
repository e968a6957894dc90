"""The broker's back office: what it changes on accounts and symbols, and whom it tells.

How it works: each method changes the state at once and sends the event that the real venue has for it, to every link
with the account: ProtoOATraderUpdatedEvent, ProtoOASymbolChangedEvent, a ProtoOAMarginChangedEvent for each position
whose margin moved, or an execution event with `isServerEvent`. A stop-out that follows comes with the next price.
"""

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bot.ctrader.schema import enum, message
from bot.sim import wire
from bot.sim.desk import Desk
from bot.sim.entities import OrderRefused, Refused, SimPosition
from bot.sim.feed import STILL, Bend
from bot.sim.listing import Week
from bot.sim.margin import Tiers

if TYPE_CHECKING:
    from bot.sim.venue import Venue

Money = Decimal | int | str
_STOP = "stop"


class BackOffice:
    """Changes the accounts and symbols of a venue."""

    def __init__(self, venue: "Venue") -> None:
        self._venue = venue

    # -- accounts ---------------------------------------------------------------------------------------------------

    def set_leverage(self, account_id: int, ratio: int) -> None:
        """Change an account's leverage; margins follow unless the account's are fixed.

        Units: a plain ratio, 500 for 1:500. Raises: ValueError below 1.
        """
        desk = self._venue.desk(account_id)
        replace(desk.account.settings, leverage=ratio)  # refuses what makes no sense before anything is changed
        moved = desk.account.set_leverage(ratio)
        self._trader_updated(desk)
        desk.executor.margin_changed(moved)

    def set_access_rights(self, account_id: int, name: str) -> None:
        """Change what an account may do: FULL_ACCESS, CLOSE_ONLY, NO_TRADING or NO_LOGIN, which ends its sessions.

        Raises: ValueError for another name.
        """
        names = list(enum("ProtoOAAccessRights"))
        if name not in names:
            raise ValueError(f"unknown access rights {name!r}; there are: {', '.join(names)}")
        venue = self._venue
        desk = venue.desk(account_id)
        desk.account.access_rights = name
        self._trader_updated(desk)
        if name == "NO_LOGIN":
            venue.disconnect_account(account_id)
        for symbol_id in venue.specs:
            venue.wake(symbol_id)

    def set_position_margin(self, position_id: int, factor: Decimal) -> None:
        """Charge a position `factor` times the margin of its volume, from now on.

        Raises: OrderRefused (POSITION_NOT_FOUND); ValueError for a factor that is not positive.
        """
        _check_factor(factor)
        desk, position = self._position(position_id)
        desk.executor.margin_changed(desk.account.set_margin_factor(position, factor))

    def set_symbol_margin(self, symbol_id: int, factor: Decimal) -> None:
        """Divide the leverage of a symbol's tiers by `factor`, under a new leverage id of its own.

        Raises: Refused (SYMBOL_NOT_FOUND); ValueError for a factor that is not positive.
        """
        _check_factor(factor)
        catalogue = self._venue.catalogue
        tiers = catalogue.tiers[catalogue.spec(symbol_id).leverage_id or 0]
        leverage_id = catalogue.free_leverage_id()
        catalogue.set_tiers(leverage_id, tuple((upper, max(1, int(ratio / factor))) for upper, ratio in tiers))
        self.change_symbol(symbol_id, leverage_id=leverage_id)

    def set_tiers(self, leverage_id: int, tiers: Tiers) -> None:
        """Change dynamic leverage under its id; the symbols that have it count as changed.

        Units: (upper bound of open volume in USD, leverage), ascending. Raises: ValueError for senseless tiers.
        """
        symbols = self._venue.catalogue.set_tiers(leverage_id, tiers)
        self._symbols_changed(symbols)
        self._recompute_margins(symbols)

    def transfer(self, account_id: int, money: Money, *, deposit: bool) -> None:
        """Book a deposit or a withdrawal. Units: deposit currency.

        Raises: ValueError for money that is not positive; Refused (NOT_ENOUGH_MONEY) for more than the balance.
        """
        venue = self._venue
        desk, exact = venue.desk(account_id), Decimal(money)
        if not (exact.is_finite() and exact > 0):
            raise ValueError(f"a deposit or withdrawal must be above 0, not {money}")
        minor = desk.account.minor(exact)
        if not deposit and minor > desk.account.balance:
            raise Refused("NOT_ENOUGH_MONEY", f"cannot withdraw {exact}: that is more than the balance")
        change = desk.account.transfer(minor if deposit else -minor, venue.now_ns)
        desk.executor.event(venue.teller(account_id), "DEPOSIT_WITHDRAW", transfer=change, server=True)

    def book_swap(self, position_id: int, money: Money) -> None:
        """Book a swap (negative: a charge) on a position; the balance gets it when the position closes.

        Units: deposit currency. Raises: OrderRefused (POSITION_NOT_FOUND).
        """
        venue = self._venue
        desk, position = self._position(position_id)
        position.swap += desk.account.minor(Decimal(money))
        position.updated_ns = venue.now_ns
        tell = venue.teller(desk.account.settings.account_id)
        desk.executor.event(tell, "SWAP", position=position, server=True)

    # -- symbols ----------------------------------------------------------------------------------------------------

    def change_symbol(self, symbol_id: int, **changed: Any) -> None:
        """Change fields of a symbol by their names in `SymbolSpec`, or `enabled`. New hours are enforced from now on.

        Raises: Refused (SYMBOL_NOT_FOUND); ValueError, one line, for a field or a value that makes no sense.
        """
        venue = self._venue
        venue.catalogue.change(symbol_id, **changed)
        self._symbols_changed([symbol_id])
        if "leverage_id" in changed:
            self._recompute_margins([symbol_id])
        if changed.keys() & {"schedule", "schedule_time_zone", "holidays"}:
            venue.floor.keep_hours(symbol_id)
            venue.tape.run(venue.now_ns)
        venue.wake(symbol_id)

    def put_hours(self, week: Week) -> None:
        """Give every symbol but crypto these trading hours."""
        for symbol_id in self._venue.catalogue.resting_at_weekends():
            self.change_symbol(symbol_id, schedule=week.schedule, schedule_time_zone=week.time_zone)

    def stop_trading(self, symbol_id: int) -> None:
        """Stop a symbol that no schedule stops: nothing is quoted, orders get MARKET_CLOSED, what rests does nothing.

        Raises: Refused (SYMBOL_NOT_FOUND).
        """
        venue = self._venue
        venue.floor.stopped.add(venue.spec(symbol_id).symbol_id)
        venue.tape.bend(symbol_id, Bend(STILL, _STOP), venue.now_ns)

    def resume_trading(self, symbol_id: int) -> None:
        """Let a stopped symbol trade again. Raises: Refused (SYMBOL_NOT_FOUND)."""
        venue = self._venue
        venue.floor.stopped.discard(venue.spec(symbol_id).symbol_id)
        venue.tape.straighten(symbol_id, venue.now_ns, cause=_STOP)
        venue.wake(symbol_id)

    # -- telling ----------------------------------------------------------------------------------------------------

    def _trader_updated(self, desk: Desk) -> None:
        account = desk.account
        trader = wire.trader_message(account, self._venue.assets[account.settings.deposit_currency])
        account_id = account.settings.account_id
        event = message("ProtoOATraderUpdatedEvent")(ctidTraderAccountId=account_id, trader=trader)
        self._venue.broadcast(account_id, event)

    def _symbols_changed(self, symbols: list[int]) -> None:
        for account_id in self._venue.desks:
            event = message("ProtoOASymbolChangedEvent")(ctidTraderAccountId=account_id, symbolId=symbols)
            self._venue.broadcast(account_id, event)

    def _recompute_margins(self, symbols: list[int]) -> None:
        for desk in self._venue.desks.values():
            for symbol_id in symbols:
                desk.executor.margin_changed(desk.account.recompute_margin(symbol_id))

    def _position(self, position_id: int) -> tuple[Desk, SimPosition]:
        for desk in self._venue.desks.values():
            if position_id in desk.account.positions:
                return desk, desk.account.positions[position_id]
        raise OrderRefused("POSITION_NOT_FOUND", f"no open position {position_id}", position_id=position_id)


def _check_factor(factor: Decimal) -> None:
    if not (factor.is_finite() and factor > 0):
        raise ValueError(f"a margin factor must be above 0, not {factor}")
