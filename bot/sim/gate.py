"""What an account may do: its access rights, and the trading mode of a symbol.

How it works: `check_*` refuse a request; `may_execute` tells whether what rests already (pending orders, protections,
the stop-out) may act. Cancelling is always possible but for an account without trading.
Which code the real venue gives is not documented. The error table ties TRADING_NOT_ALLOWED to the account and
TRADING_DISABLED to the symbol, so access rights answer with the first and trading modes with the second.
Source: ProtoOAAccessRights, ProtoOATradingMode.
"""

from bot.sim.account import Account
from bot.sim.catalogue import Catalogue
from bot.sim.entities import OrderRefused
from bot.sim.floor import Floor
from bot.sim.hours import OPEN

_NO_PENDINGS = "DISABLED_WITHOUT_PENDINGS_EXECUTION"
_WITH_PENDINGS = "DISABLED_WITH_PENDINGS_EXECUTION"
_CLOSE_ONLY = "CLOSE_ONLY_MODE"


class Gate:
    """Refuses what one account may not do."""

    def __init__(self, account: Account, catalogue: Catalogue, floor: Floor) -> None:
        self._account, self._floor = account, floor
        self._specs, self._disabled = catalogue.specs, catalogue.disabled

    def check_account(self) -> None:
        """Raises: OrderRefused (TRADING_NOT_ALLOWED) when the account may do nothing at all."""
        rights = self._account.access_rights
        if rights in ("NO_TRADING", "NO_LOGIN"):
            raise OrderRefused("TRADING_NOT_ALLOWED", f"the account's access rights are {rights}")

    def check_trading(self, symbol_id: int, now_ns: int) -> None:
        """Raises: OrderRefused when the account, or anybody, may not trade the symbol now, in either direction."""
        self.check_account()
        spec = self._specs[symbol_id]
        if symbol_id in self._disabled:
            raise OrderRefused("TRADING_DISABLED", f"{spec.name} is not enabled")
        if spec.trading_mode in (_NO_PENDINGS, _WITH_PENDINGS):
            raise OrderRefused("TRADING_DISABLED", f"the trading mode of {spec.name} is {spec.trading_mode}")
        self._floor.check(symbol_id, now_ns)

    def check_opening(self, symbol_id: int, *, is_buy: bool) -> None:
        """Raises: OrderRefused when new exposure in this direction is not allowed."""
        spec = self._specs[symbol_id]
        if self._account.access_rights == "CLOSE_ONLY":
            raise OrderRefused("TRADING_NOT_ALLOWED", "the account may only close: its access rights are CLOSE_ONLY")
        if spec.trading_mode == _CLOSE_ONLY:
            raise OrderRefused("TRADING_DISABLED", f"positions in {spec.name} can only be closed ({_CLOSE_ONLY})")
        if not is_buy and not spec.short_selling:
            raise OrderRefused("SHORT_SELLING_NOT_ALLOWED", f"{spec.name} cannot be sold short")

    def may_execute(self, symbol_id: int, now_ns: int, *, opens: bool, is_buy: bool) -> bool:
        """Tell whether the venue may act on something that rests; `opens`: it would bring new exposure."""
        spec = self._specs[symbol_id]
        if self._account.access_rights in ("NO_TRADING", "NO_LOGIN") or spec.trading_mode == _NO_PENDINGS:
            return False
        if symbol_id in self._disabled or self._floor.state(symbol_id, now_ns) != OPEN:
            return False
        try:
            if opens:
                self.check_opening(symbol_id, is_buy=is_buy)
        except OrderRefused:
            return False
        return True
