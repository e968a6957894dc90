"""The words for what others do to the account: transfers, swaps, changed leverage and rights, positions that differ."""

from decimal import Decimal

from bot.account.account import AccountState
from bot.account.position import Position
from bot.engine.decision import CountedDeal, Notice


def transferred(change: Decimal, when: str) -> Notice:
    """Return what to say of a deposit or a withdrawal."""
    verb = "paid in" if change > 0 else "paid out"
    return Notice("transfer", None, f"{abs(change)} {verb} {when}: neither profit nor loss")


def differs(before: Position | None, after: Position | None, symbol: str, *, is_ours: bool) -> Notice:
    """Return what to say of a position that the venue has otherwise than we do. Its word is taken."""
    known = before or after
    assert known is not None
    held, has = (0 if p is None else p.volume_cents / 100 for p in (before, after))
    whose = "of ours" if is_ours else "of somebody else"
    text = f"position {known.position_id} {whose}: we held {held:g} units, the venue has {has:g}; its word is taken"
    return Notice("difference", symbol, text)


_CAUSES = {
    "manual": "somebody else",
    "stop_out": "the broker's stop-out",
    "protection": "a protective stop or target",
    "unknown": "nobody knows who, while we were away,",
}


def dealt(counted: CountedDeal) -> Notice | None:
    """Return what to say of a deal that no order of ours has made; None for one of ours."""
    if counted.cause == "ours":
        return None
    deal = counted.deal
    verb = "bought" if deal.volume_cents > 0 else "sold"
    whose = "of ours" if counted.is_own else "that is not ours"
    text = f"{_CAUSES[counted.cause]} {verb} {abs(deal.volume_cents) / 100:g} units at {deal.price:g}"
    return Notice(counted.cause, counted.symbol, f"{text}, position {deal.position_id} {whose}")


def swap_booked(before: Position | None, after: Position, symbol: str) -> Notice | None:
    """Return what to say of a swap that the broker has booked on a position; None when its swap has not changed."""
    change = after.swap - (before.swap if before is not None else Decimal(0))
    if change == 0:
        return None
    verb = "charged" if change < 0 else "paid"
    return Notice("swap", symbol, f"{abs(change)} {verb} on position {after.position_id}, {after.swap} in all")


def account_changed(before: AccountState | None, after: AccountState) -> list[Notice]:
    """Return what to say of the settings of an account that are other than they were."""
    if before is None:
        return []
    told = []
    if before.leverage != after.leverage:
        told.append(Notice("leverage", None, f"the broker changed it from {_ratio(before)} to {_ratio(after)}"))
    if before.access_rights != after.access_rights:
        told.append(Notice("access_rights", None, f"they were {before.access_rights}, now {after.access_rights}"))
    if before.margin_calculation != after.margin_calculation:
        text = f"margin of both sides was {before.margin_calculation}, now {after.margin_calculation}"
        told.append(Notice("margin_calculation", None, text))
    return told


def another_account() -> Notice:
    """Return what to say of memories that are about another account."""
    text = "what the state folder holds of losses, halts and open orders is about another account: not heeded"
    return Notice("other_account", None, text)


def _ratio(account: AccountState) -> str:
    return "unknown" if account.leverage is None else f"1:{account.leverage:g}"
