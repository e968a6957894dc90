"""What leaves the house: no secret, masked numbers, both forms; and findings as lines."""

import json

from hypothesis import given
from hypothesis import strategies as st

from bot.doctor.findings import Findings
from bot.doctor.report import Mask, json_report, line_of, markdown_report, masked, summary_of

SECRETS = ["the-secret-1", "the-secret-1-longer", "tok|en"]
MASK = Mask(SECRETS, [1_000_001, 9_000_001, 42], {"/home/jane": "~"})


def findings() -> Findings:
    made = Findings(lambda finding: None)
    made.check("token", "ok", "the-secret-1 and the-secret-1-longer and tok|en of account 1000001", 1_000_001)
    made.check("account", "warn", "login 9000001 in /home/jane/x", {"login": 9_000_001, "ids": [1_000_001, 5]})
    made.check("margin:EURUSD", "fail", "a|b\nc", exit_code=1)
    made.check("symbol:NOPE", "fail", "no", exit_code=2)
    made.seen("depth.EURUSD.levels", 10, "account 42")
    return made


def test_neither_form_of_report_holds_what_must_stay() -> None:
    made = findings()
    for report in (json_report(made, MASK), markdown_report(made, MASK, {"time": "now", "place": "/home/jane"})):
        for hidden in (*SECRETS, "the-secret", "-longer", "1000001", "9000001", "/home/jane"):
            assert hidden not in report
        assert "01" in report
        assert "depth.EURUSD.levels" in report


def test_a_markdown_table_keeps_its_columns() -> None:
    (row,) = [line for line in markdown_report(findings(), MASK, {}).splitlines() if "margin:EURUSD" in line]
    assert row == "| fail | margin:EURUSD | a\\|b c |"


def test_json_lines_end_with_the_summary() -> None:
    lines = [json.loads(line) for line in json_report(findings(), MASK).splitlines()]
    assert lines[-1] == {"type": "summary", "ok": 1, "warn": 1, "fail": 2, "unknown": 0}
    assert lines[1]["value"] == {"login": "*****01", "ids": ["*****01", 5]}
    assert {line["type"] for line in lines[:-1]} == {"check", "measurement"}
    assert line_of(findings().all[4]) == {
        "type": "measurement", "name": "depth.EURUSD.levels", "value": 10, "text": "account 42",
    }  # fmt: skip


def test_the_exit_code_is_that_of_the_first_failure() -> None:
    made = findings()
    assert made.exit_code == 1
    assert summary_of(made)["fail"] == 2
    assert made.result_of("account") == "warn"
    assert made.result_of("nothing") is None
    assert Findings(lambda finding: None).exit_code == 0
    later = Findings(lambda finding: None)
    later.check("clock", "warn", "late")
    assert later.exit_code == 0
    later.check("token", "fail", "no", exit_code=3)
    assert later.exit_code == 3


@given(st.integers(0, 10**12))
def test_masking_leaves_two_digits_and_the_length(number: int) -> None:
    hidden = masked(number)
    assert len(hidden) == len(str(number))
    assert hidden.lstrip("*") == str(number)[-2:]
