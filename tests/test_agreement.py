"""The run's ledger against the embedded venue's own account: the same story, or the first thing that differs."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from private_reactor import Bench, bench
from wired_bot import ACCOUNT, WiredBot, bot_config, virtual_venue

import bot.agreement
from bot.agreement import Agreement, compare
from bot.cli.summary import in_words
from bot.journal.ledger_reader import LedgerSpan, read_everything
from bot.sim.account import Account

__all__ = ["bench"]  # a fixture

# Twisted 26.10 still hands pyOpenSSL its own deprecated certificate objects.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> tuple[LedgerSpan, Account, dict[str, Any]]:
    """A run that opens two positions at a commission and closes them at its end, in yen."""
    folder = tmp_path_factory.mktemp("traded")
    venue = virtual_venue(deposit_currency="JPY")
    account = venue.desks[ACCOUNT].account
    account.settings = replace(account.settings, commission_per_million=Decimal(30))
    account.transfer(account.minor(Decimal(2_000_000)), venue.now_ns)
    run = WiredBot(folder, bot_config(folder, trade=True, on_stop="flatten"), venue, seconds=3)
    run.start().let(10)
    assert run.summary is not None and not run.summary["positions"]
    return read_everything(Path(run.config.state.directory or "") / "ledger.sqlite3"), account, run.summary


def test_a_run_and_its_venue_agree_to_the_cent(traded: tuple[LedgerSpan, Account, dict[str, Any]]) -> None:
    span, account, summary = traded
    found = compare(span, account)
    assert (found.difference, found.agrees) == ("", True)
    assert found.ledger == found.venue
    assert found.ledger.deals == 4
    # By hand: what the balance is now, less what was paid in.
    paid_in = Decimal(10_000 + 2_000_000)
    assert found.ledger.balance == Decimal(str(summary["balance"])) != paid_in
    commissions = sum(Decimal(deal.commission).scaleb(-account.money_digits) for deal in account.deals)
    assert commissions < 0
    assert found.ledger.realised_profit == found.ledger.balance - paid_in
    assert found.figures()["ledger"] == found.figures()["venue"]


def _without_last(span: LedgerSpan) -> LedgerSpan:
    return replace(span, deals=span.deals[:-1])


def _last_deal(**changes: Callable[[Any], Any]) -> Callable[[LedgerSpan], LedgerSpan]:
    def change(span: LedgerSpan) -> LedgerSpan:
        last = span.deals[-1]
        return replace(
            span, deals=(*span.deals[:-1], replace(last, **{k: f(getattr(last, k)) for k, f in changes.items()}))
        )

    return change


CENT = Decimal("0.01")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without_last, "of the venue is not in the ledger's books"),
        (_last_deal(deal_id=lambda number: number + 1), "of the venue is not in the ledger's books"),
        (_last_deal(position_id=lambda number: number + 1), "position is "),
        (_last_deal(volume_cents=lambda cents: -cents), "volume is "),
        (_last_deal(price=lambda price: price + 1e-5), "price is "),
        (_last_deal(commission=lambda money: money - CENT), "commission is "),
        (_last_deal(gross_profit=lambda money: money + CENT), "gross profit is "),
        (_last_deal(swap=lambda money: money + CENT), "swap is "),
        (_last_deal(close_commission=lambda money: money - CENT), "close commission is "),
        (_last_deal(balance=lambda money: None), "balance is None in the ledger and "),
        (lambda span: replace(span, samples=(*span.samples[:-1], replace(span.samples[-1], balance=CENT))), "balance"),
        (lambda span: replace(span, samples=()), "balance"),
    ],
)
def test_the_first_thing_in_which_they_differ_is_named(
    change: Callable[[LedgerSpan], LedgerSpan], words: str, traded: tuple[LedgerSpan, Account, dict[str, Any]]
) -> None:
    span, account, summary = traded
    found = compare(change(span), account)
    assert not found.agrees
    assert words in found.difference
    text = in_words(summary | {"agreement": found.figures()})
    assert f"DIFFERS from the venue's books in {found.difference}" in text


def test_a_deal_that_the_venue_does_not_know_is_a_difference(
    traded: tuple[LedgerSpan, Account, dict[str, Any]],
) -> None:
    span, account, _ = traded
    strange = replace(span.deals[0], deal_id=1)
    assert (
        "deal 1 of the ledger is not in the venue's books"
        in compare(replace(span, deals=(strange, *span.deals)), account).difference
    )


def test_money_paid_in_after_the_last_sample_is_no_difference(
    traded: tuple[LedgerSpan, Account, dict[str, Any]],
) -> None:
    span, account, _ = traded
    account.transfer(12_345, span.samples[-1].ns + 1)
    try:
        assert compare(span, account).agrees
    finally:
        account.transfer(-12_345, span.samples[-1].ns + 1)


def demo(bench: Bench, *flags: str) -> int:
    journals = str(bench.folder / "journals")
    config = bench.folder / "quick.yaml"
    config.write_text("symbols: {EURUSD: {}}\nstrategy: {name: constant, base_leverage: 1}\non_stop: flatten\n")
    return bench.microlev("demo", "--config", config, "--seconds", 1, "--record", journals, *flags)


def test_a_trading_demo_says_that_ledger_and_venue_agree(bench: Bench) -> None:
    assert demo(bench, "--trade") == 0, bench.err
    (line,) = (line for line in bench.out.splitlines() if line.startswith("ledger "))
    assert line.startswith("ledger    agrees with the venue's own books to the cent: 2 deal(s), realised ")


@pytest.mark.slow
def test_the_summary_has_the_figures_of_both_and_a_dry_run_has_none(bench: Bench) -> None:
    assert demo(bench, "--trade", "--json") == 0, bench.err
    agreement = bench.lines[-1]["agreement"]
    assert agreement["agrees"] is True and agreement["difference"] is None
    assert agreement["ledger"] == agreement["venue"]
    assert agreement["ledger"]["deals"] == 2
    assert agreement["ledger"]["balance"] == bench.lines[-1]["balance"]


@pytest.mark.slow
def test_a_paper_demo_has_no_ledger_to_compare(bench: Bench) -> None:
    assert demo(bench, "--json") == 0, bench.err
    assert bench.lines[-1]["agreement"] is None


@pytest.mark.slow
def test_a_demo_whose_ledger_lacks_a_deal_ends_with_1_and_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(span: LedgerSpan, account: Account) -> Agreement:
        return compare(_without_last(span), account)

    monkeypatch.setattr(bot.agreement, "compare", forgetful)
    assert demo(bench, "--trade") == 1
    assert "ledger    DIFFERS from the venue's books in deal " in bench.out
    assert bench.err.splitlines()[-1].startswith("ledger and venue differ: deal ")
