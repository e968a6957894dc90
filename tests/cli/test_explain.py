"""`microlev explain`: one line a symbol at a venue or from a journal, and no order, whatever the config says."""

import json
from pathlib import Path
from typing import Any

import pytest
from private_reactor import ACCOUNT, Bench, bench
from wired_bot import START, WiredBot, bot_config, virtual_venue

from bot.cli.explain import Explanations, explanation_line
from bot.journal.reader import JournalReader
from bot.sizing.bound import Bound

__all__ = ["bench"]  # a fixture

# Twisted 26.10 still hands pyOpenSSL its own deprecated certificate objects.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

KEYS = {
    "type", "time", "symbol", "text", "leverage_now", "leverage_goal", "leverage_target", "bound", "caps", "factors",
    "if_spread_doubles",
}  # fmt: skip
CAPS = {"kelly", "stop_out", "exit_cost", "max_volume", "max_symbol_leverage"}
QUICK = {"warm_up_s": 0.5, "persistence_s": 0, "max_increase_frac_per_min": None, "band": 0.05, "time_of_day": False}


def recorded(folder: Path, **changes: Any) -> tuple[WiredBot, list[Explanations]]:
    """Run a bot on a virtual clock and record it."""
    kept: list[Explanations] = []

    def watch(run: Any) -> list[Explanations]:
        kept.append(Explanations(run))
        return kept

    config = bot_config(folder, strategy={"name": "liquidity-weighted", "base_leverage": 2}, sizing=QUICK, **changes)
    bot = WiredBot(folder, config, virtual_venue(), seconds=6, watch=watch).start().let(10)
    assert bot.result is not None and bot.result.exit_code == 0
    return bot, kept


def test_a_venue_is_looked_at_and_each_symbol_explained_in_one_line(bench: Bench) -> None:
    bench.serve()
    path = bench.config(
        symbols={"EURUSD": {}, "USDJPY": {"direction": "short"}},
        strategy={"name": "liquidity-weighted", "base_leverage": 2},
        sizing={"time_of_day": False},
    )
    assert bench.microlev("explain", path, "--seconds", 1) == 0, bench.err
    lines = bench.out.splitlines()
    assert [line.split()[0] for line in lines] == ["EURUSD", "EURUSD", "USDJPY", "USDJPY"]
    assert [line.split(maxsplit=1)[1].startswith("if the spread doubled: ") for line in lines] == [False, True] * 2
    assert all(" of 2x" in line and "liquidity" in line and line.endswith("warm-up") for line in lines)
    assert bench.err == ""


@pytest.mark.slow
def test_a_config_that_trades_sends_no_order_and_writes_no_journal(bench: Bench) -> None:
    server = bench.serve()
    journals = bench.folder / "journals"
    path = bench.config(mode="trade", recording={"directory": str(journals)})
    assert bench.microlev("explain", path, "--seconds", 1, "--json") == 0, bench.err
    (line,) = bench.lines
    assert line["leverage_now"] == pytest.approx(2.0, rel=0.05)  # on paper: `constant` opens at once
    account = server.venue.desks[ACCOUNT].account
    assert (len(account.positions), len(account.order_history), journals.exists()) == (0, 0, False)
    assert not list((bench.folder / "state").glob("ledger*"))


def test_a_json_line_has_every_key_and_no_number_that_json_has_not(bench: Bench) -> None:
    bench.serve()
    assert bench.microlev("explain", bench.config(), "--seconds", 0.5, "--json") == 0, bench.err
    (line,) = bench.lines
    assert line.keys() == KEYS and line["caps"].keys() == CAPS
    assert line["if_spread_doubles"]["leverage_goal"] == line["leverage_goal"], "`constant` goes by no spread"
    assert (line["type"], line["symbol"], line["factors"]) == ("explanation", "EURUSD", {})
    assert line["caps"]["kelly"] is None and line["caps"]["max_symbol_leverage"] == 8.0
    assert "NaN" not in bench.out and "Infinity" not in bench.out


def test_a_journal_is_explained_as_the_run_was_before_it_was_stopped(bench: Bench) -> None:
    bot, kept = recorded(bench.folder)
    assert bench.microlev("explain", bot.journal_path, "--json") == 0, bench.err
    expected = [explanation_line(kept[0].now_ns, each, kept[0].doubled[each.symbol]) for each in kept[0].newest]
    assert bench.lines == json.loads(json.dumps(expected))
    assert [line["symbol"] for line in bench.lines] == ["EURUSD", "USDJPY"]
    assert bench.lines[0]["bound"] != Bound.NOT_READY.name.lower()
    for line in bench.lines:
        assert abs(line["if_spread_doubles"]["leverage_goal"]) < abs(line["leverage_goal"])
    assert 0 < bench.lines[0]["leverage_now"] <= 2.5 and bench.lines[1]["leverage_now"] < 0


def test_an_earlier_moment_of_a_journal_can_be_asked_for(bench: Bench) -> None:
    bot, _ = recorded(bench.folder)
    with JournalReader(bot.journal_path) as reader:
        first_ns = next(record.ns for record in reader)
    assert START <= first_ns < START + 10**9
    assert bench.microlev("explain", bot.journal_path, "--json", "--at", "2023-11-14T22:13:20.400Z") == 0, bench.err
    assert all(line["time"] <= "2023-11-14T22:13:20.400Z" for line in bench.lines)
    assert all((line["leverage_now"], line["bound"]) == (0.0, "warm_up") for line in bench.lines)
    assert bench.microlev("explain", bot.journal_path, "--at", "2023-11-14T22:13:19Z") == 2
    assert bench.err.endswith("the run was not ready by then: there is no leverage to explain\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.yaml"], "none.yaml: no such file"),
        (["none.journal"], "none.journal"),
        (["x.journal", "--seconds", "3"], "--seconds"),
        (["x.yaml", "--at", "2026-01-01"], "is for a journal"),
        (["x.journal", "--at", "noon"], "must be a time such as"),
        (["x.yaml", "--seconds", "inf"], "must be a number of seconds"),
    ],
)
def test_what_cannot_be_explained_is_one_line_and_exit_2(arguments: list[str], words: str, bench: Bench) -> None:
    assert bench.microlev("explain", *arguments) == 2
    assert words in bench.err and bench.err.count("\n") == 1 and bench.out == ""


def test_a_venue_that_is_not_there_is_exit_4(bench: Bench) -> None:
    path = bench.config(venue={"port": 1, "ca_file": None, "connect_timeout_s": 0.5})
    assert bench.microlev("explain", path) == 4
    assert "not ready within 0.5 s" in bench.err and bench.out == ""
