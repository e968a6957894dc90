"""`report`, and `status --day`: a broker's day from the ledger, on the command line."""

import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.cli.main import main
from bot.journal.broker_day import day_of
from bot.journal.kept import AccountSample, Aftermath
from bot.journal.ledger import Ledger

ACCOUNT = 12_345_678


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config of a demo account with a ledger that has one sample, taken now, and without any secret."""
    state = tmp_path / "state"
    state.mkdir()
    content: dict[str, Any] = {
        "venue": {"environment": "demo"},
        "account": {"id": ACCOUNT},
        "credentials": {"client_secret": "${NOT_SET_IN_THIS_TERMINAL}"},
        "symbols": {"EURUSD": {}},
        "state": {"directory": str(state)},
    }
    path = tmp_path / "bot.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    ledger = Ledger(state / "ledger.sqlite3")
    now_ns = time.time_ns()
    ledger.record(Aftermath(now_ns, sample=AccountSample(now_ns, 1234.5, Decimal("1234.50"), None, None)))
    ledger.remember("account", {"account_id": ACCOUNT, "deposit_currency": "EUR"})
    ledger.close()
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_status_with_a_day_is_the_report_of_that_day_wherever_the_flag_stands(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report, err = run(capsys, "report", config)
    assert (code, err) == (0, "")
    assert "equity      open 1,234.50" in report and f"account {ACCOUNT}, " in report
    today = day_of(time.time_ns()).isoformat()
    for flags in ((config, "--day"), ("--day", config), (config, "--day", today), ("--day", today, config),
                  (config, f"--day={today}")):  # fmt: skip
        assert run(capsys, "status", *flags) == (0, report, ""), flags


def test_status_with_a_day_is_one_json_object_when_asked_for(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "status", config, "--json", "--day")
    figures = json.loads(out)
    assert (code, figures["type"], figures["equity"]["open"]) == (0, "report", 1234.5)


def test_without_a_day_status_asks_the_running_bot(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "status", config)
    assert (code, out) == (4, "") and "no running bot can be reached" in err


@pytest.mark.parametrize("command", ["status", "report"])
@pytest.mark.parametrize("day", ["2026-11-2", "monday", "2026-13-01"])
def test_a_day_that_is_no_date_is_one_line_and_exit_2(
    command: str, day: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, command, config, "--day", day)
    assert (code, out) == (2, "")
    assert f"--day {day} is no date; write YYYY-MM-DD" in err and err.count("\n") == 1


def test_a_day_of_which_nothing_is_known_is_one_line_not_a_page_of_unknowns(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "report", config, "--day", "2020-01-02")
    assert code == 0
    assert "the ledger has nothing of that time; `microlev report CONFIG --all` has all" in out
    assert "unknown" not in out
    assert "open 1,234.50" in run(capsys, "report", config, "--all")[1]


def test_without_a_ledger_there_is_one_line_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bot.yaml"
    path.write_text(f"account: {{id: 7}}\nsymbols: {{EURUSD: {{}}}}\nstate: {{directory: {tmp_path / 'none'}}}\n")
    code, out, err = run(capsys, "status", path, "--day")
    assert (code, out) == (2, "")
    assert "there is no ledger at " in err and err.count("\n") == 1
