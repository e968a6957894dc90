"""`microlev doctor` against the embedded venue, over real TLS: lines, exit codes, the report, no secret anywhere."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from private_reactor import ACCOUNT, SECRETS, VIEW_TOKEN, Bench, bench

import bot.doctor.streams

__all__ = ["bench"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listen less to the depth that is subscribed again: no test here looks at it."""
    monkeypatch.setattr(bot.doctor.streams, "RESUBSCRIBED_S", 0.05)


HIDDEN = [*SECRETS.values(), VIEW_TOKEN]


def token_file(folder: Path, **changes: Any) -> Path:
    path = folder / "token.json"
    content = {k: SECRETS[k] for k in ("access_token", "refresh_token")} | {"expires_at": time.time() + 20 * 86_400}
    path.write_text(json.dumps(content | changes))
    path.chmod(0o600)
    return path


def with_file(bench: Bench, folder: Path, sections: dict[str, Any] | None = None, **changes: Any) -> Path:
    path = token_file(folder, **changes)
    return bench.config(credentials={"access_token": None, "token_file": str(path)}, **(sections or {}))


def test_every_line_is_json_every_check_passes_and_the_last_line_counts_them(bench: Bench, tmp_path: Path) -> None:
    bench.serve()
    config = with_file(bench, tmp_path)
    assert bench.microlev("doctor", config, "--json", "--seconds", "1") == 0, bench.out
    *findings, summary = bench.lines
    checks = [line for line in findings if line["type"] == "check"]
    assert {line["result"] for line in checks} <= {"ok", "warn"}
    assert [line["name"] for line in checks if line["result"] == "warn" and line["name"] != "config"] == []
    assert all(list(line) == ["type", "name", "result", "text", "value"] for line in checks)
    measured = [line for line in findings if line["type"] == "measurement"]
    assert all(list(line) == ["type", "name", "value", "text"] for line in measured)
    assert summary["type"] == "summary"
    assert summary["ok"] + summary["warn"] + summary["fail"] + summary["unknown"] == len(checks)
    (expiry,) = [line for line in checks if line["name"] == "token_expiry"]
    assert expiry["value"] == pytest.approx(20, abs=0.1)
    assert not any(secret in bench.out + bench.err for secret in HIDDEN)


def test_without_json_there_is_a_line_a_check_and_a_count(bench: Bench) -> None:
    bench.serve()
    assert bench.microlev("doctor", bench.config(), "--seconds", "0.5") == 0
    lines = bench.out.splitlines()
    assert lines[-1].endswith("0 fail, 0 unknown") or " 0 fail" in lines[-1]
    assert any(line.startswith("ok      margin:EURUSD") for line in lines)
    assert any(line.startswith("seen    spot_timestamp_unit") for line in lines)
    assert all(line.split()[0] in ("ok", "warn", "fail", "unknown", "seen") for line in lines[:-1])


@pytest.mark.parametrize(
    ("changes", "code", "failed"),
    [
        ({"credentials": {"client_secret": "wrong"}}, 3, "application"),
        ({"credentials": {"access_token": "wrong"}}, 3, "token"),
        ({"credentials": {"access_token": VIEW_TOKEN}, "mode": "trade"}, 3, "scope"),
        ({"account": {"id": 42}}, 3, "account"),
        ({"venue": {"environment": "live"}}, 3, "kind"),
        ({"venue": {"ca_file": None}}, 4, "connection"),
        ({"symbols": {"EURUDS": {}}}, 2, "symbol:EURUDS"),
        ({"credentials": {"client_id": None}}, 2, "credentials"),
    ],
)
def test_the_exit_code_is_that_of_the_first_failure(
    changes: dict[str, Any], code: int, failed: str, bench: Bench
) -> None:
    bench.serve()
    assert bench.microlev("doctor", bench.config(**changes), "--json", "--seconds", "0.2") == code
    names = [line["name"] for line in bench.lines if line.get("result") == "fail"]
    assert names[0] == failed
    assert "Traceback" not in bench.out + bench.err


@pytest.mark.parametrize(
    ("days", "refresh", "result"),
    [(20, "r", "ok"), (2, "r", "warn"), (-1, "r", "warn"), (-1, None, "fail"), (None, "r", "unknown")],
)
def test_a_token_about_to_expire_is_seen(
    days: float | None, refresh: str | None, result: str, bench: Bench, tmp_path: Path
) -> None:
    bench.serve()
    expires = None if days is None else time.time() + days * 86_400
    config = with_file(bench, tmp_path, expires_at=expires, refresh_token=refresh)
    code = bench.microlev("doctor", config, "--json", "--seconds", "0.2")
    (expiry,) = [line for line in bench.lines if line.get("name") == "token_expiry"]
    assert expiry["result"] == result
    assert code == (3 if result == "fail" else 0)


def test_a_token_file_others_can_read_is_a_failed_check_with_2(bench: Bench, tmp_path: Path) -> None:
    bench.serve()
    config = with_file(bench, tmp_path)
    (tmp_path / "token.json").chmod(0o644)
    assert bench.microlev("doctor", config, "--json") == 2
    assert "chmod 600" in bench.lines[-2]["text"]


@pytest.mark.parametrize("name", ["report.md", "report.json"])
def test_a_report_is_written_without_a_secret_and_with_masked_numbers(name: str, bench: Bench, tmp_path: Path) -> None:
    bench.serve()
    path = tmp_path / name
    path.write_text("an older one")
    config = with_file(bench, tmp_path)
    assert bench.microlev("doctor", config, "--seconds", "0.2", "--report", path) == 0
    content = path.read_text()
    assert "margin:EURUSD" in content
    assert "depth.EURUSD.levels" in content
    for hidden in (*HIDDEN, str(ACCOUNT), str(ACCOUNT + 8_000_000), str(Path.home())):
        assert hidden not in content
    assert not any(secret in bench.out + bench.err for secret in HIDDEN)
    assert f"{'*' * 5}01" in content
    if name.endswith(".json"):
        assert json.loads(content.splitlines()[-1])["type"] == "summary"
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(("tmp", "report"))) == [name]


def test_a_report_of_a_failure_hides_as_much(bench: Bench, tmp_path: Path) -> None:
    bench.serve()
    path = tmp_path / "report.md"
    config = bench.config(account={"id": 7_654_321})
    assert bench.microlev("doctor", config, "--report", path) == 3
    assert "7654321" not in path.read_text()
    assert str(ACCOUNT) not in path.read_text()


def test_a_secret_that_somehow_came_into_a_text_is_taken_out_of_the_report(bench: Bench, tmp_path: Path) -> None:
    bench.serve()
    path = tmp_path / "report.md"
    config = with_file(bench, tmp_path, {"symbols": {name: {} for name in SECRETS.values()}})
    assert bench.microlev("doctor", config, "--seconds", "0.2", "--report", path) == 2
    content = path.read_text()
    assert content.count("[removed]") >= len(SECRETS)
    assert not any(secret in content for secret in HIDDEN)


def test_a_report_into_no_folder_is_exit_2_before_anything_else(bench: Bench, tmp_path: Path) -> None:
    assert bench.microlev("doctor", bench.config(), "--report", tmp_path / "no" / "r.md") == 2
    assert (bench.out, bench.err.count("\n")) == ("", 1)


def test_orders_are_refused_with_2_on_the_live_environment_before_connecting(bench: Bench) -> None:
    config = bench.config(venue={"environment": "live", "host": "localhost", "port": 9})
    assert bench.microlev("doctor", config, "--demo-orders") == 2
    assert "demo accounts only" in bench.err
    assert bench.out == ""


@pytest.mark.slow
def test_demo_orders_are_sent_and_nothing_is_left(bench: Bench) -> None:
    server = bench.serve()
    assert bench.microlev("doctor", bench.config(), "--demo-orders", "--seconds", "0.5", "--json", limit_s=60) == 0
    results = {line["name"]: line.get("result") for line in bench.lines if line["type"] == "check"}
    assert results["demo_orders"] == results["demo_orders_clean"] == "ok"
    (desk,) = server.venue.desks.values()
    assert (desk.account.positions, desk.account.orders) == ({}, {})
    assert desk.account.order_history


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_in_the_middle_of_the_orders_is_130_and_leaves_nothing(
    number: signal.Signals, bench: Bench
) -> None:
    server = bench.serve()
    (desk,) = server.venue.desks.values()

    def watch() -> None:
        if desk.account.positions:
            os.kill(os.getpid(), number)
        else:
            bench.reactor.callLater(0.01, watch)

    bench.reactor.callLater(0.01, watch)
    assert bench.microlev("doctor", bench.config(), "--demo-orders", "--seconds", "0.2", "--json", limit_s=60) == 130
    assert (desk.account.positions, desk.account.orders) == ({}, {})
    assert bench.err.strip().splitlines()[-1] == "interrupted"
    assert bench.lines[-1]["type"] == "summary"
