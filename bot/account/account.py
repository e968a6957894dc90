"""The trading account's own settings and money, as the broker states them."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class AccountState:
    """One trading account.

    Units: `balance` in deposit currency; `leverage` a plain ratio (500 for 1:500); `opened_ns` when the broker opened
        it, None where it does not say.
    Source: ProtoOATrader (leverageInCents / 100, balance / 10^moneyDigits) and ProtoOACtidTraderAccount.isLive.
    """

    account_id: int
    deposit_asset: str
    balance: Decimal
    balance_version: int | None
    leverage: float | None
    account_type: str = "HEDGED"
    margin_calculation: str = "MAX"
    access_rights: str = "FULL_ACCESS"
    is_live: bool | None = None
    is_limited_risk: bool = False
    money_digits: int = 2
    opened_ns: int | None = None

    @property
    def identity(self) -> tuple[int, int | None]:
        """What tells the account from another: its id, and when it was opened (a simulator's ids recur)."""
        return self.account_id, self.opened_ns
