"""`microlev look-ahead`, on five minutes of a made-up market."""

import json
from pathlib import Path

import pytest

from bot.cli.look_ahead import _lines
from bot.cli.main import main
from bot.research.backtest.look_ahead import Cut, Difference

CONFIG = """\
venue: {environment: simulator}
symbols: {EURUSD: {}}
strategy: {name: composite, base_leverage: 1}
sizing: {warm_up_s: 20, persistence_s: 1}
"""
ARGUMENTS = ["--data", "synthetic:calm", "--to", "2026-01-05T00:03"]


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return str(path)


@pytest.mark.slow
def test_a_backtest_that_looks_at_nothing_ahead_says_so(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["look-ahead", config, *ARGUMENTS, "--at", "2026-01-05T00:02", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is True
    (cut,) = told["cuts"]
    assert (cut["at"], cut["difference"], cut["differs_after"]) == ("2026-01-05T00:02:00.000Z", None, True)
    assert cut["rows"] >= 110


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--data", "synthetic:calm", "--at", "2025-01-01"], "2025-01-01 00:00:00 is not within the data, 2026-01-05"),
        (["--data", "synthetic:calm", "--at", "noon"], "'noon' is no date such as"),
        (["--data", "synthetic:wild"], "unknown scenario 'wild'"),
        (["--data", "nothing.parquet"], "nothing.parquet"),
        ([*ARGUMENTS, "--from", "2026-01-06"], "is not after 2026-01-06: --to is exclusive"),
    ],
)
def test_bad_usage_is_one_line(
    config: str, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["look-ahead", config, *arguments]) == 2
    said = capsys.readouterr().err
    assert text in said
    assert said.count("\n") == 1


def test_the_verdict_names_the_first_thing_that_differs() -> None:
    passed = Cut(60_000_000_000, 90, 60, 2, None, True, 40)
    found = Difference(50_000_000_000, "row", "target", [1.0], [0.25])
    assert _lines((passed,)) == [
        "no look-ahead: up to 1970-01-01 00:01:00 everything is the same bit for bit when later data are altered "
        "(60 rows, 2 fills and 90 decisions up to the last)"
    ]
    assert _lines((passed, Cut(60_000_000_000, 90, 60, 2, found, True, 40))) == [
        "looks ahead: with data after 1970-01-01 00:01:00 altered, the row of 1970-01-01 00:00:50 differs in target: "
        "[1.0], then [0.25]"
    ]
    assert _lines((Cut(60_000_000_000, 90, 60, 2, None, False, 40),))[0].startswith("nothing proved: altering the data")
    assert _lines((Cut(60_000_000_000, 90, 60, 2, None, False, 0),))[0].startswith("nothing proved: no data that could")
