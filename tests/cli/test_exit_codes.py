"""The exit-code table of the command line, against the embedded venue over real TLS, and without any venue."""

import os
import signal
import socket
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from journal_bytes import journal_bytes
from private_reactor import SECRETS, VIEW_TOKEN, Bench, bench

import bot.net.simulator
from bot.net.simulator import Simulator
from bot.net.tls import make_local_authority

__all__ = ["bench"]  # a fixture

# Twisted 26.10 still hands pyOpenSSL its own deprecated certificate objects.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


def last_line(bench: Bench) -> str:
    return bench.err.strip().splitlines()[-1] if bench.err.strip() else ""


def no_traceback(bench: Bench) -> bool:
    return "Traceback" not in bench.out + bench.err


# -- with a venue ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "flags", "code", "words"),
    [
        ({}, ["--seconds", "0"], 0, ""),
        ({"venue": {"environment": "demo"}}, ["--seconds", "0"], 0, ""),
        ({"venue": {"environment": "live"}}, [], 3, "demo"),
        ({"venue": {"host": "127.0.0.1"}}, ["--seconds", "0"], 0, ""),
        ({"credentials": {"client_secret": "wrong-secret"}}, [], 3, "client_secret"),
        ({"credentials": {"client_id": "wrong-id"}}, [], 3, "credentials.client_id"),
        ({"credentials": {"access_token": "wrong-token"}}, [], 3, "CH_ACCESS_TOKEN_INVALID"),
        ({"credentials": {"access_token": VIEW_TOKEN}, "mode": "trade"}, [], 3, "scope"),
        ({"credentials": {"access_token": VIEW_TOKEN}, "mode": "trade"}, ["--dry-run", "--seconds", "0"], 0, ""),
        ({"credentials": {"access_token": VIEW_TOKEN}}, ["--seconds", "0"], 0, ""),
        ({"account": {"id": 42}}, [], 3, "42"),
        ({"symbols": {"EURUDS": {}}}, [], 2, "EURUSD"),
    ],
)
def test_the_exit_code_says_how_the_venue_took_us(
    changes: dict[str, Any], flags: list[str], code: int, words: str, bench: Bench
) -> None:
    bench.serve()
    assert bench.microlev("run", bench.config(**changes), *flags) == code, bench.err
    assert words in last_line(bench)
    assert no_traceback(bench)


@pytest.mark.parametrize(
    "account",
    [
        {"account_type": "netted", "deposit_currency": "JPY", "balance": Decimal(1_500_000)},
        pytest.param({"account_type": "netted"}, marks=pytest.mark.slow),
    ],
)
def test_the_bot_trades_on_every_kind_of_account(account: dict[str, Any], bench: Bench) -> None:
    venue = bench.serve(**account).venue
    assert bench.microlev("run", bench.config(mode="trade"), "--json", "--seconds", "1.2") == 0
    assert [line["state"] for line in bench.lines if line["type"] == "order"] == ["sent", "accepted", "filled"]
    (desk,) = venue.desks.values()
    (position,) = desk.account.positions.values()
    worth = position.volume_cents / 100 * (1.1 if "balance" not in account else 1.1 * 150)
    assert worth == pytest.approx(2 * float(desk.account.settings.balance), rel=0.03)


@pytest.mark.slow
def test_a_closed_port_is_exit_4_within_the_connect_timeout(bench: Bench) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        config = bench.config(venue={"port": port, "connect_timeout_s": 1})
        assert bench.microlev("run", config) == 4
    assert last_line(bench).startswith(f"not ready within 1 s: cannot connect to localhost:{port}: connection refused")


@pytest.mark.slow
def test_a_server_that_takes_the_connection_and_says_nothing_is_exit_4_in_time(bench: Bench) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        config = bench.config(venue={"port": silent.getsockname()[1], "connect_timeout_s": 1})
        assert bench.microlev("run", config) == 4
    assert last_line(bench).startswith("not ready within 1 s: ")


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every byte that reached the venue from inside TLS."""
    noted: list[bytes] = []
    real = Simulator.hear

    def hear(self: Simulator, client: Any, data: bytes) -> None:
        noted.append(data)
        real(self, client, data)

    monkeypatch.setattr(Simulator, "hear", hear)
    return noted


def test_a_certificate_of_another_authority_is_exit_4_at_once_and_nothing_is_sent(
    bench: Bench, heard: list[bytes], tmp_path: Path
) -> None:
    import datetime

    bench.serve()
    foreign = tmp_path / "foreign.pem"
    foreign.write_bytes(make_local_authority(datetime.datetime.now(datetime.UTC)).ca_pem)
    assert bench.microlev("run", bench.config(venue={"ca_file": str(foreign), "connect_timeout_s": 600})) == 4
    assert heard == []
    assert "does not verify" in last_line(bench)


def test_a_host_name_that_the_certificate_lacks_is_exit_4_at_once_and_nothing_is_sent(
    bench: Bench, heard: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.net.simulator, "HOST", "127.0.0.2")
    bench.serve()
    assert bench.microlev("run", bench.config(venue={"host": "127.0.0.2", "connect_timeout_s": 600})) == 4
    assert heard == []
    assert "another host name" in last_line(bench)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_is_a_clean_stop_with_130_and_a_summary(number: signal.Signals, bench: Bench) -> None:
    bench.serve()
    bench.reactor.callLater(1.0, os.kill, os.getpid(), number)
    assert bench.microlev("run", bench.config(mode="trade"), "--json") == 130
    assert bench.lines[-1]["type"] == "summary"
    assert bench.lines[-1]["open_orders"] == []
    assert last_line(bench) == "interrupted"


def test_record_writes_a_journal_that_replays_and_never_trades(bench: Bench, tmp_path: Path) -> None:
    venue = bench.serve().venue
    folder = tmp_path / "recording"
    assert bench.microlev("record", bench.config(mode="trade"), "--out", folder, "--seconds", "1", "--json") == 0
    assert not any(desk.account.positions for desk in venue.desks.values())
    told = bench.lines[-1]
    (journal,) = folder.glob("*.journal.zst")
    assert (told["type"], told["files"], told["end"], told["breaks"]) == ("recording", [journal.name], "clean", 0)
    assert told["frames"] == bench.lines[-2]["frames"] and told["bytes"] == journal.stat().st_size
    assert bench.microlev("replay", journal, "--verify", "--json") == 0
    (line,) = bench.lines
    assert (line["equal"], line["clean_stop"], line["difference"]) == (True, True, None)
    content = journal_bytes(journal)
    assert b'"kind":"DECISION"' not in content
    torn = journal.with_suffix("")
    torn.write_bytes(content[: len(content) // 2])
    assert bench.microlev("replay", torn, "--verify") == 0
    assert "did not stop cleanly" in bench.out


# -- without a venue -------------------------------------------------------------------------------------------------


def test_a_defect_of_ours_is_not_called_a_mistake_of_the_person(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ValueError from inside the run is not a bad market: it ends with its traceback."""
    import bot.cli.lines

    def broken(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(bot.cli.lines.JsonLines, "__call__", broken)
    with pytest.raises(ValueError, match="a bug"):
        bench.microlev("demo", "--json", "--seconds", "1")


def bad_inputs(folder: Path) -> dict[str, Path]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = {name: folder / name for name in ("broken.parquet", "text.parquet", "text.journal", "zeros.journal")}
    files["foreign.parquet"] = folder / "foreign.parquet"
    pq.write_table(pa.table({"colour": ["red", "blue"]}), files["foreign.parquet"])
    files["broken.parquet"].write_bytes(files["foreign.parquet"].read_bytes()[:100])
    files["text.parquet"].write_text("these are words\n")
    files["text.journal"].write_text("these are words\n")
    files["zeros.journal"].write_bytes(bytes(1000))
    return files


@pytest.mark.parametrize("command", ["sim", "demo"])
@pytest.mark.parametrize("name", ["broken.parquet", "text.parquet", "foreign.parquet", "missing.parquet"])
def test_a_bad_recording_is_exit_2_and_one_line(command: str, name: str, bench: Bench, tmp_path: Path) -> None:
    bad_inputs(tmp_path)
    assert bench.microlev(command, "--market", tmp_path / name, *(["--json"] if command == "demo" else [])) == 2
    assert (bench.out, bench.err.count("\n")) == ("", 1)
    assert name in bench.err


@pytest.mark.parametrize("name", ["text.journal", "zeros.journal", "foreign.parquet", "missing.journal"])
def test_a_file_that_is_no_journal_is_exit_2_and_one_line(name: str, bench: Bench, tmp_path: Path) -> None:
    bad_inputs(tmp_path)
    assert bench.microlev("replay", tmp_path / name, "--verify") == 2
    assert (bench.out, bench.err.count("\n")) == ("", 1)
    assert name in bench.err


def test_a_folder_in_place_of_a_file_is_exit_2_and_one_line(bench: Bench, tmp_path: Path) -> None:
    for arguments in (["replay", tmp_path], ["run", tmp_path], ["check", tmp_path], ["demo", "--market", tmp_path]):
        assert bench.microlev(*arguments) == 2
        assert no_traceback(bench)
        assert len(bench.err.strip().splitlines()) <= 2  # `demo` says first that it starts


def test_a_journal_of_other_software_is_exit_2_and_one_line(bench: Bench, tmp_path: Path) -> None:
    from bot.journal.writer import JournalWriter

    path = tmp_path / "other.journal"
    JournalWriter(path, {"software": "something else"}).close(1, {})
    assert bench.microlev("replay", path) == 2
    assert bench.err.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "flags", "words"),
    [
        ({"strategy": {"name": "constnat"}}, [], "did you mean 'constant'"),
        ({"execution": {"order_type": "stop"}}, [], "'market_range', 'market' or 'limit'"),
        ({"modee": "trade"}, [], "did you mean 'mode'"),
        ({"venue": {"environment": "live"}, "mode": "trade", "risk": {"max_drawdown_frac": 0.1}}, [], "--live"),
        ({"venue": {"environment": "live"}, "mode": "trade"}, ["--live"], "loss limit"),
        ({"symbols": {"EURUSD": {"direction": "signal"}}}, [], "has no direction"),
        ({"symbols": {}}, [], "symbols"),
        ({"venue": {"ca_file": "/nonexistent/ca.pem"}}, [], "ca.pem"),
        ({"venue": {"ca_file": __file__}}, [], "no certificate"),
        ({"credentials": {"client_secret": None}}, [], "CTRADER_CLIENT_SECRET"),
        ({"recording": {"directory": "/proc/nowhere"}}, [], "journal cannot be written"),
        ({"state": {"directory": "/proc/nowhere"}, "mode": "trade"}, [], "ledger cannot be opened"),
    ],
)
def test_a_bad_config_is_exit_2_and_one_line(
    changes: dict[str, Any], flags: list[str], words: str, bench: Bench
) -> None:
    assert bench.microlev("run", bench.config(**changes), *flags) == 2
    lines = [line for line in bench.err.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1, bench.err
    assert words in lines[0]
    assert bench.out == ""


@pytest.mark.parametrize(
    "text", ["venue: [", "symbols: {EURUSD: {}}\nsymbols: {}", "just words", "", "- a\n- b", "\x00"]
)
def test_a_file_that_is_no_config_is_exit_2_and_one_line(text: str, bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "bot.yaml"
    path.write_text(text)
    for command in ("run", "check"):
        assert bench.microlev(command, path) == 2
        assert (bench.out, bench.err.count("\n")) == ("", 1), bench.err


@pytest.mark.skipif(os.name != "posix", reason="file modes are of POSIX")
@pytest.mark.parametrize(("mode", "code"), [(0o644, 2), (0o640, 2), (0o600, 0)])
def test_a_token_file_that_others_can_read_is_exit_2(mode: int, code: int, bench: Bench, tmp_path: Path) -> None:
    bench.serve()
    token = tmp_path / "token.json"
    token.write_text(f'{{"access_token": "{SECRETS["access_token"]}", "refresh_token": null, "expires_at": null}}')
    token.chmod(mode)
    config = bench.config(credentials={"access_token": None, "token_file": str(token)})
    assert bench.microlev("run", config, "--seconds", "0") == code
    if code:
        assert "chmod 600" in last_line(bench)
        assert SECRETS["access_token"] not in bench.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--seconds", "-1"],
        ["demo", "--seconds", "nan"],
        ["demo", "--seconds", "soon"],
        ["run", "x.yaml", "--seconds", "-1"],
        ["run", "x.yaml", "--seconds", "nan"],
        ["record", "x.yaml", "--out", "x", "--seconds", "inf"],
        ["sim", "--port", "70000"],
        ["sim", "--balance", "lots"],
        ["sim", "--account-type", "shared"],
        ["sim", "--deposit-currency", "XXX"],
        ["sim", "--speed", "0"],
        ["sim", "--symbols", "US500,GER40"],
        ["demo", "--market", "synthetic:hectic"],
        ["replay"],
        ["record", "x.yaml"],
    ],
)
def test_a_bad_flag_is_exit_2_and_one_line(arguments: list[str], bench: Bench) -> None:
    assert bench.microlev(*arguments) == 2
    lines = [line for line in bench.err.splitlines() if not line.startswith("starting the embedded venue")]
    assert len(lines) == 1, bench.err
    assert bench.out == ""
