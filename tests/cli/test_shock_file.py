"""The file that `--shocks` names: errors tell its line."""

from pathlib import Path

import pytest
from tick_trials import BEGIN_NS, S, tick_trial

from bot.cli.shock_file import read_shocks
from bot.config import ConfigError
from bot.research.shocks.shock import Shock

TEXT = """\
shocks:
  - {kind: stale, symbol: EURUSD, at: 2014-04-29T08:01}
  - kind: spread
    symbol: EURUSD
    at: 2014-04-29 08:05:00
    size: 4
    move: {bps: 20, side: against}
"""


def test_a_file_of_shocks_is_read_for_the_sides_of_the_config(tmp_path: Path) -> None:
    path = tmp_path / "shocks.yaml"
    path.write_text(TEXT, encoding="utf-8")
    trial = tick_trial(symbols={"EURUSD": {"direction": "short"}})
    assert read_shocks(str(path), trial) == [
        Shock("stale", "EURUSD", BEGIN_NS + 60 * S, 30.0),
        Shock("spread", "EURUSD", BEGIN_NS + 300 * S, 60.0, 4.0, None, 20.0),
    ]


def test_what_is_wrong_in_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "shocks.yaml"
    path.write_text(TEXT.replace("size: 4", "size: four"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"shocks\.yaml:6: shocks\.1\.size: is a number, not 'four'"):
        read_shocks(str(path), tick_trial())
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        read_shocks(str(tmp_path / "none.yaml"), tick_trial())


def test_the_standard_script_needs_seven_hours() -> None:
    with pytest.raises(ValueError, match=r"take 7\.2 hours of open market after the first half hour; there are 0\.0"):
        read_shocks("standard", tick_trial())
