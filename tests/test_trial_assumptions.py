"""What runs are made from: everything that would make them come out otherwise, and is not in the config's text."""

from pathlib import Path

from wired_bot import bot_config

from bot import __version__
from bot.research.backtest.latency import Measured
from bot.trial_assumptions import conditions_of, inputs_of


def test_code_of_the_strategy_data_latency_and_version_are_what_runs_are_made_from(tmp_path: Path) -> None:
    strategy, data = tmp_path / "mine.py", tmp_path / "fx_EURUSD.parquet"
    strategy.write_text("one")
    data.write_bytes(b"ticks")
    config = bot_config(tmp_path, strategy={"name": str(strategy), "base_leverage": 1})
    fixed = conditions_of(config)
    before = inputs_of(config, [str(data)], fixed)
    assert before == inputs_of(config, [str(data)], fixed)
    assert before["version"] == __version__
    strategy.write_text("two")
    assert before["strategy"] != inputs_of(config, [str(data)], fixed)["strategy"]
    data.write_bytes(b"other ticks")
    assert before["data"] != inputs_of(config, [str(data)], fixed)["data"]


def test_what_the_ledger_has_measured_is_part_of_it(tmp_path: Path) -> None:
    config = bot_config(tmp_path, backtest={"latency": "ledger"})
    told = [inputs_of(config, [], conditions_of(config, measured=Measured(ns)))["latency"] for ns in ([20], [20, 40])]
    assert told == [[10], [10, 20]]
