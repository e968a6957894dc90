"""A whole run against the embedded venue: the ledger's deals are the venue's, to the cent, and say who made them."""

import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from wired_bot import ACCOUNT, CLIENT, START, TOKEN, WiredBot, bot_config

from bot.cli.main import main
from bot.journal.kept import KeptDeal
from bot.journal.ledger_reader import LedgerSpan, read_everything
from bot.net.outcome import EXIT_FAILED, Outcome
from bot.sim.entities import AccountSettings, SimDeal
from bot.sim.market import open_market
from bot.sim.venue import Venue

EURUSD = 1


def charging_venue() -> Venue:
    """Return the embedded venue, charging commission."""
    account = AccountSettings(ACCOUNT, "hedged", "USD", Decimal(10_000), commission_per_million=Decimal(30))
    return Venue(
        open_market("synthetic:calm", seed=1, start_ns=START, speed=1.0),
        accounts=[account],
        client_id=CLIENT.client_id,
        client_secret=CLIENT.client_secret,
        access_token=TOKEN.access_token,
        refresh_token=str(TOKEN.refresh_token),
        start_ns=START,
    )


def trading(folder: Path, venue: Venue, **more: Any) -> WiredBot:
    config = bot_config(folder, trade=True, **({"on_stop": "flatten"} | more.pop("config", {})))
    return WiredBot(folder, config, venue, **more).start()


def ledger_of(folder: Path) -> LedgerSpan:
    return read_everything(folder / "state" / "ledger.sqlite3")


def as_told(deal: SimDeal) -> tuple[Any, ...]:
    """Return a deal of the venue in the ledger's terms: money from its cents."""
    closing = deal.closing
    closed = (
        (None,) * 4 if closing is None else (closing.gross_profit, closing.swap, closing.commission, closing.balance)
    )
    volume = deal.filled_cents if deal.is_buy else -deal.filled_cents
    money = tuple(None if cents is None else Decimal(cents) / 100 for cents in (deal.commission, *closed))
    return (deal.deal_id, deal.order_id, deal.position_id, volume, float(deal.price), *money)


def as_kept(deal: KeptDeal) -> tuple[Any, ...]:
    money = (deal.commission, deal.gross_profit, deal.swap, deal.close_commission, deal.balance)
    return (deal.deal_id, deal.order_id, deal.position_id, deal.volume_cents, deal.price, *money)


def test_the_ledger_of_a_run_holds_the_venues_deals_to_the_cent(tmp_path: Path) -> None:
    venue = charging_venue()
    bot = trading(tmp_path, venue)
    account = venue.desks[ACCOUNT].account
    bot.let(8)
    ours, *_ = account.positions
    venue.book_swap(ours, Decimal("-1.23"))
    venue.trade_by_hand(ACCOUNT, EURUSD, "buy", 300_000)
    bot.let(2)
    venue.close_by_hand(ACCOUNT, ours, 500_000)
    bot.let(1)
    bot.driver.stop(Outcome(0))
    bot.let(12)
    span = ledger_of(tmp_path)
    assert [as_kept(deal) for deal in span.deals] == [as_told(deal) for deal in account.deals]
    causes = [(deal.symbol, deal.cause, deal.is_own) for deal in span.deals]
    assert sorted(causes) == [
        ("EURUSD", "manual", False),
        ("EURUSD", "manual", True),
        ("EURUSD", "ours", True),  # what is left of it nobody closes: hands off, after a close by hand
        ("USDJPY", "ours", True),
        ("USDJPY", "ours", True),
    ]
    assert {i.state for i in span.intents} == {"filled"}
    assert all(deal.decision_mid for deal in span.deals if deal.cause == "ours")
    assert {mark.deal_id for mark in span.marks} >= {deal.deal_id for deal in span.deals[:2]}
    assert span.account == {"account_id": ACCOUNT, "deposit_currency": "USD"}


def test_a_stop_out_is_flagged(tmp_path: Path) -> None:
    venue = charging_venue()
    bot = trading(tmp_path, venue).let(8)
    bot.client.is_mute = True  # or the bot would be quicker
    venue.withdraw(ACCOUNT, Decimal("9960"))
    bot.let(4)
    stopped = [deal for deal in ledger_of(tmp_path).deals if deal.cause == "stop_out"]
    assert stopped
    assert all(deal.is_own and deal.gross_profit is not None for deal in stopped)


@pytest.mark.slow
def test_a_close_by_hand_during_a_drop_is_found_in_the_lists(tmp_path: Path) -> None:
    venue = charging_venue()
    bot = trading(tmp_path, venue).let(8)
    held, *_ = venue.desks[ACCOUNT].account.positions
    bot.client.drop("cut", 20.0)
    bot.let(1)
    venue.close_by_hand(ACCOUNT, held)
    bot.let(100, 1 / 4)
    deals = {deal.deal_id: deal for deal in ledger_of(tmp_path).deals}
    assert set(deals) == {deal.deal_id for deal in venue.desks[ACCOUNT].account.deals}
    (by_hand,) = [deal for deal in deals.values() if deal.cause != "ours"]
    assert (by_hand.cause, by_hand.is_own, by_hand.position_id) == ("manual", True, held)


def test_a_second_run_adds_to_the_ledger_and_repeats_nothing(tmp_path: Path) -> None:
    venue = charging_venue()
    first = trading(tmp_path, venue).let(4)
    assert first.run.ledger is not None
    first.run.ledger.close()  # the process is gone: nothing of it is told any more
    before = ledger_of(tmp_path).deals
    second = trading(tmp_path, venue, run_id="run2", clock=first.clock)
    second.let(65, 1 / 4)
    second.driver.stop(Outcome(0))
    second.let(12)
    after = ledger_of(tmp_path).deals
    assert after[: len(before)] == before
    assert [deal.deal_id for deal in after] == [deal.deal_id for deal in venue.desks[ACCOUNT].account.deals]


def test_the_account_is_sampled_once_a_minute_and_at_each_deal(tmp_path: Path) -> None:
    bot = trading(tmp_path, charging_venue()).let(125, 1 / 4)
    span = ledger_of(tmp_path)
    times_s = [(sample.ns - START) / 1e9 for sample in span.samples]
    deals_s = {(deal.recorded_ns - START) / 1e9 for deal in span.deals}
    assert deals_s <= set(times_s)
    assert max(b - a for a, b in pairwise(times_s)) <= 60.5
    assert len(times_s) <= 2 + 1 + len(deals_s) + 1
    assert span.samples[-1].equity == pytest.approx(bot.run.engine.valuation.equity, rel=1e-3)


def test_a_ledger_that_fails_after_the_bytes_have_left_ends_the_run(tmp_path: Path) -> None:
    bot = trading(tmp_path, charging_venue())
    bot.until(lambda: bot.is_ready)
    assert bot.run.ledger is not None
    bot.run.ledger._file.connection.execute("DROP TABLE deals")
    bot.let(5)
    assert isinstance(bot.result, Outcome)
    assert bot.result.exit_code == EXIT_FAILED
    assert "stopped: cannot record" in bot.result.text
    assert "no such table: deals" in bot.result.text


def test_orders_leave_before_anything_but_their_intents_is_written(tmp_path: Path) -> None:
    bot = trading(tmp_path, charging_venue())
    assert bot.run.ledger is not None
    steps: list[str] = []
    bot.run.ledger._file.connection.set_trace_callback(
        lambda text: steps.append(text.split("(")[0].strip()) if text.startswith(("INSERT", "UPDATE")) else None
    )
    bot.client.note_write = lambda data: steps.append("wire") if b"microlev" in data else None
    bot.let(2)
    sent = steps.index("wire")
    assert steps[sent - 2 : sent] == ["INSERT INTO intents"] * 2
    assert [step for step in steps[:sent] if step.startswith("UPDATE")] == []
    assert steps[sent + 1].startswith("UPDATE intents SET state = 'sent'")


# -- the command --------------------------------------------------------------------------------------------------


def config_file(folder: Path, account: int = ACCOUNT) -> Path:
    path = folder / "bot.yaml"
    path.write_text(
        f"venue: {{environment: simulator}}\naccount: {{id: {account}}}\nsymbols: {{EURUSD: {{}}}}\n"
        f"state: {{directory: '{folder / 'state'}'}}\n",
        encoding="utf-8",
    )
    return path


def report(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["report", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_report_is_read_while_the_bot_runs_in_all_three_forms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    venue = charging_venue()
    bot = trading(tmp_path, venue).let(8)
    venue.close_by_hand(ACCOUNT, next(iter(venue.desks[ACCOUNT].account.positions)))
    bot.let(1)
    assert bot.result is None
    path = config_file(tmp_path)
    day = ["--day", "2023-11-15"]  # it is 17:13 in New York
    code, text, err = report(capsys, path, *day)
    assert (code, err) == (0, "")
    assert "account 1000001, 2023-11-15, money in USD" in text
    assert "open: 2 filled" in text
    assert ": manual, position" in text
    assert max(map(len, text.splitlines())) <= 80
    _, line, _ = report(capsys, path, *day, "--json")
    assert line.count("\n") == 1
    figures = json.loads(line)
    assert (figures["type"], figures["deals"]["count"], figures["deals"]["causes"]) == (
        "report",
        3,
        {"manual": 1, "ours": 2},
    )
    _, table, _ = report(capsys, path, "--all", "--csv", "-")
    assert len(table.splitlines()) == 4
    out = tmp_path / "deals.csv"
    assert report(capsys, path, "--day", "2023-11-16", "--days", "2", "--csv", out) == (0, "", "")
    assert out.read_text(encoding="utf-8") == table
    _, other, _ = report(capsys, path, "--json")
    assert json.loads(other)["deals"]["count"] == 0
    assert json.loads(other).keys() == figures.keys()
    bot.driver.stop(Outcome(0))
    bot.let(12)
    _, after, _ = report(capsys, path, *day, "--json")
    assert json.loads(after)["deals"]["count"] == 4


@pytest.mark.parametrize(
    ("make", "arguments", "words"),
    [
        (lambda path: None, [], "there is no ledger at "),
        (lambda path: path.write_bytes(b"words " * 99), [], "not a microlev ledger: "),
        (lambda path: None, ["--day", "yesterday"], "--day yesterday is no date; write YYYY-MM-DD"),
        (lambda path: None, ["--days", "0"], "--days"),
        (lambda path: None, ["--all", "--days", "2"], "--all is everything"),
        (lambda path: None, ["--json", "--csv", "-"], "--json and --csv"),
    ],
)
def test_what_cannot_be_reported_is_one_line_and_exit_2(
    make: Any, arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").mkdir()
    make(tmp_path / "state" / "ledger.sqlite3")
    code, out, err = report(capsys, config_file(tmp_path), *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_the_ledger_of_another_account_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trading(tmp_path, charging_venue()).let(2)
    code, out, err = report(capsys, config_file(tmp_path, account=5))
    assert (code, out) == (2, "")
    assert "is the ledger of account 1000001, and the config's is 5" in err
