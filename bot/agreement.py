"""Whether a run's ledger and the embedded venue tell the same story of an account: deals, realised profit, balance.

How it works: the two have been written by code that has nothing in common, the ledger from what came over the wire,
the venue's books by its own matching. Deals are paired by their ids and compared field by field, money in exact
decimals.
"""

from dataclasses import dataclass
from decimal import Decimal
from math import isclose
from pathlib import Path
from typing import Any

from bot.journal.day_report import deal_figures
from bot.journal.kept import KeptDeal
from bot.journal.ledger_file import LedgerError
from bot.journal.ledger_reader import LedgerSpan, read_everything
from bot.sim.account import Account
from bot.sim.entities import SimDeal

_PRICE_TOLERANCE = 1e-9
"""Relative. A price crosses the wire as a float, and may be an average with more digits than one has."""


@dataclass(frozen=True, slots=True)
class Books:
    """What one side says. Units: deposit currency. Missing: None for a balance that it never heard."""

    deals: int
    realised_profit: Decimal
    balance: Decimal | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides say; `difference` is the first thing in which they differ, in words, empty when in nothing."""

    ledger: Books
    venue: Books
    difference: str

    @property
    def agrees(self) -> bool:
        """Whether the two are the same to the last minor unit."""
        return not self.difference

    def figures(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "agrees": self.agrees,
            "difference": self.difference or None,
            "ledger": _figures(self.ledger),
            "venue": _figures(self.venue),
        }


def agreement_at(ledger: Path, account: Account) -> tuple[dict[str, Any] | None, str]:
    """Compare a ledger file with the venue's account while both stand still: a resting stop may fill a moment later.

    Returns: the figures of both, None when the ledger cannot be read; and one line about it when not all is well.
    """
    try:
        found = compare(read_everything(ledger), account)
    except LedgerError as error:
        return None, f"ledger and venue cannot be compared: {error}"
    return found.figures(), "" if found.agrees else f"ledger and venue differ: {found.difference}"


def compare(span: LedgerSpan, account: Account) -> Agreement:
    """Compare all that a ledger holds with the account of the embedded venue that it is about.

    A deposit, withdrawal or correction after the ledger's last sample of the balance is left out of the venue's: the
    ledger samples once a minute and at each deal.
    """
    theirs = {deal.deal_id: deal for deal in account.deals}
    ours = {deal.deal_id: deal for deal in span.deals}
    ledger = _ledger_books(span)
    venue = _venue_books(account, span)
    return Agreement(ledger, venue, _difference(ours, theirs, ledger, venue, account.money_digits))


def _ledger_books(span: LedgerSpan) -> Books:
    sampled = [sample.balance for sample in span.samples if sample.balance is not None]
    realised: Decimal = deal_figures(span.deals)["realised_profit"]
    return Books(len(span.deals), realised, sampled[-1] if sampled else None)


def _venue_books(account: Account, span: LedgerSpan) -> Books:
    digits = account.money_digits
    closings = [deal.closing for deal in account.deals if deal.closing is not None]
    realised = sum(closing.gross_profit + closing.swap + closing.commission for closing in closings)
    since_ns = max((sample.ns for sample in span.samples if sample.balance is not None), default=0)
    unsampled = sum(transfer.delta for transfer in account.cash_flow if transfer.changed_ns > since_ns > 0)
    return Books(len(account.deals), _money(realised, digits), _money(account.balance - unsampled, digits))


def _difference(ours: dict[int, KeptDeal], theirs: dict[int, SimDeal], ledger: Books, venue: Books, digits: int) -> str:
    for deal_id in sorted(ours.keys() ^ theirs.keys()):
        where, whose = ("ledger", "venue") if deal_id in theirs else ("venue", "ledger")
        return f"deal {deal_id} of the {whose} is not in the {where}'s books"
    for deal_id, theirs_one in sorted(theirs.items()):
        for name, here, there in _compared(ours[deal_id], theirs_one, digits):
            same = isclose(here, there, rel_tol=_PRICE_TOLERANCE) if name == "price" else here == there
            if not same:
                return f"deal {deal_id}: {name} is {here} in the ledger and {there} at the venue"
    if ledger.realised_profit != venue.realised_profit:
        return "the realised profit"
    return "" if ledger.balance == venue.balance else "the balance"


def _compared(ours: KeptDeal, theirs: SimDeal, digits: int) -> list[tuple[str, Any, Any]]:
    closing = theirs.closing
    closed = (None, None, None, None) if closing is None else (
        closing.gross_profit, closing.swap, closing.commission, closing.balance
    )  # fmt: skip
    names = ("gross_profit", "swap", "close_commission", "balance")
    return [
        ("position", ours.position_id, theirs.position_id),
        ("volume", ours.volume_cents, theirs.filled_cents if theirs.is_buy else -theirs.filled_cents),
        ("price", ours.price, float(theirs.price)),
        ("commission", ours.commission, _money(theirs.commission, digits)),
        *(
            (name.replace("_", " "), getattr(ours, name), None if minor is None else _money(minor, digits))
            for name, minor in zip(names, closed, strict=True)
        ),
    ]


def _money(minor: int, digits: int) -> Decimal:
    return Decimal(minor).scaleb(-digits)


def _figures(books: Books) -> dict[str, Any]:
    balance = None if books.balance is None else float(books.balance)
    return {"deals": books.deals, "realised_profit": float(books.realised_profit), "balance": balance}
