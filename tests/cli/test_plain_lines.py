"""Lines for a person where there is no terminal: a leverage is explained when that changes, and seldom."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from wired_bot import WiredBot, bot_config, virtual_venue

from bot.cli.screen import PlainLines, Screen

GROWING = {"warm_up_s": 1, "persistence_s": 0, "max_increase_frac_per_min": 1, "band": 0.05, "time_of_day": False}


def explained(folder: Path, capsys: pytest.CaptureFixture[str], seconds: float, **changes: Any) -> list[str]:
    """Return the lines that explain EURUSD."""
    symbols = {"EURUSD": {"direction": "long"}}
    config = bot_config(folder, symbols=symbols, **changes)
    bot = WiredBot(folder, config, virtual_venue(), seconds=seconds, watch=lambda run: [PlainLines(None, run)])
    bot.start().let(seconds + 2)
    return [line for line in capsys.readouterr().out.splitlines() if line[12:].startswith(" EURUSD ")]


def test_a_leverage_that_changes_is_explained_every_ten_seconds_at_most(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strategy = {"name": "liquidity-weighted", "base_leverage": 3, "parameters": {"volatility_sample_s": 1}}
    lines = explained(tmp_path, capsys, 45, strategy=strategy, sizing=GROWING)
    assert len(lines) >= 3
    seconds = [float(line[6:12]) + 60 * int(line[3:5]) for line in lines]
    assert all(later - earlier >= 9.99 for earlier, later in itertools.pairwise(seconds))


def test_a_leverage_that_stays_is_explained_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strategy = {"name": "liquidity-weighted", "base_leverage": 3}
    (line,) = explained(tmp_path, capsys, 45, strategy=strategy, sizing={"warm_up_s": 600})
    assert " of 3x" in line and "liquidity" in line


@pytest.mark.parametrize("as_json", [True, False])
def test_what_a_strategy_has_to_tell_is_told_once_when_it_knows_its_symbols(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    symbols = {"XAUUSD": {"direction": "signal"}}
    config = bot_config(tmp_path, symbols=symbols, strategy={"name": "mispricing", "base_leverage": 3})
    screen = Screen(json=as_json, account=7)
    bot = WiredBot(tmp_path, config, virtual_venue(), seconds=5, watch=screen.watch)
    bot.start().let(7)
    told = "mispricing: no triangle of the loaded symbols holds XAUUSD; nothing is traded there"
    assert capsys.readouterr().err.splitlines().count(f"warning: account 7: strategy: {told}") == 1


def test_an_amendment_is_told_once_and_a_resting_order_has_no_cost_to_be_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    symbols = {"EURUSD": {"direction": "signal"}}
    parameters = {"volatility_prior_bps": 0.2, "intensity": 0.5, "k": 3, "gamma": 0.01}
    strategy = {"name": "market-making", "base_leverage": 2, "parameters": parameters}
    changes = {"symbols": symbols, "strategy": strategy, "sizing": GROWING}
    config = bot_config(tmp_path, trade=True, **changes)
    bot = WiredBot(tmp_path, config, virtual_venue(), seconds=30, watch=lambda run: [PlainLines(None, run)])
    bot.start().let(32)
    lines = capsys.readouterr().out.splitlines()
    amended = {c.order.client_order_id for d in bot.decisions for c in d.order_changes if c.order.action == "amend"}
    replaced = [words[2] for line in lines if (words := line.split())[-1] == "replaced"]
    assert amended and len(replaced) >= len(amended) - 2
    assert not amended & set(replaced), "the order itself says that it is replaced"
    assert all(", cost " not in line for line in lines if " at limit" in line)
