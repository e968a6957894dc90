"""No credential shows anywhere: journal, JSON lines, logs, table, summary, `check`, alerts, tracebacks, or any repr."""

import io
import json
import stat
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from journal_bytes import journal_bytes
from private_reactor import SECRETS, VIEW_TOKEN, Bench, bench
from rich.console import Console
from twisted.python.failure import Failure
from wired_bot import CLIENT, TOKEN, WiredBot, bot_config, virtual_venue

from bot.cli.summary import in_words
from bot.cli.table import LiveTable
from bot.journal.recording import at_once
from bot.net.alert_channel import AlertChannel
from bot.net.alerting import Alerting, alerting, close_all
from bot.net.apprise_url import Delivery

__all__ = ["bench"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

ALERT_KEY = "key-of-an-alert-address"
ALERT_URL = f"json://127.0.0.1:9/{ALERT_KEY}"
WIRED = [CLIENT.client_secret, TOKEN.access_token, str(TOKEN.refresh_token), ALERT_KEY]
GIVEN = [SECRETS[name] for name in ("client_secret", "access_token", "refresh_token")] + [VIEW_TOKEN, ALERT_KEY]


def shown(content: str | bytes, secrets: list[str]) -> list[str]:
    """Return the secrets that a text or a file shows, in the clear or in JSON."""
    text = content.decode("latin-1") if isinstance(content, bytes) else content
    return [secret for secret in secrets if secret in text or json.dumps(secret)[1:-1] in text]


@pytest.fixture
def finished(tmp_path: Path) -> tuple[WiredBot, str]:
    """A trading run with a drop and a halt in it, and everything it drew or told."""
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=200)

    def watch(run: Any) -> list[Any]:
        table = LiveTable(run, console)
        told.append(alerting(run.config, run.session, run.engine, CLIENT, at_once, [AlertChannel("0", tell)]))
        return [table, *told]

    def tell(title: str, text: str, severity: str) -> Delivery:
        drawn.write(f"{title} {text}")
        return Delivery()

    told: list[Alerting] = []
    config = bot_config(tmp_path, trade=True, alerts={"urls": [ALERT_URL]})
    bot = WiredBot(tmp_path, config, virtual_venue(), seconds=6, watch=watch, is_steered=True).start()
    bot.until(lambda: bot.is_ready).let(2)
    bot.client.drop("cut")
    bot.command("halt")
    bot.let(10)
    close_all(told)
    return bot, drawn.getvalue()


def test_the_secrets_were_really_used(finished: tuple[WiredBot, str]) -> None:
    sent = b"".join(finished[0].client.sent)
    assert shown(sent, WIRED) == [CLIENT.client_secret, TOKEN.access_token]


def test_no_file_of_a_run_holds_a_secret(finished: tuple[WiredBot, str], tmp_path: Path) -> None:
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".journal", ".sqlite3"}
    assert {path.name: shown(path.read_bytes(), WIRED) for path in files} == {path.name: [] for path in files}


def test_the_journal_can_be_read_by_its_owner_only(finished: tuple[WiredBot, str]) -> None:
    assert stat.S_IMODE(finished[0].journal_path.stat().st_mode) == 0o600


def test_the_table_and_the_summary_show_no_secret(finished: tuple[WiredBot, str]) -> None:
    bot, drawn = finished
    assert "EURUSD" in drawn and "trading is halted" in drawn
    assert shown(drawn, WIRED) == []
    assert bot.summary is not None
    assert shown(json.dumps(bot.summary) + in_words(bot.summary), WIRED) == []


def test_no_part_of_a_run_has_a_secret_in_its_repr(finished: tuple[WiredBot, str]) -> None:
    bot, _ = finished
    parts = [
        bot.run, bot.run.config, bot.run.session, bot.run.session.plan, bot.run.engine, bot.run.pipeline, CLIENT, TOKEN,
        bot.driver, bot.run.journal, bot.run.ledger, bot.result,
    ]  # fmt: skip
    assert {type(p).__name__: shown(repr(p) + str(p), WIRED) for p in parts if shown(repr(p) + str(p), WIRED)} == {}


@pytest.mark.parametrize("method", ["link_up", "batch"])
def test_a_crash_while_secrets_are_in_scope_shows_none(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The traceback is printed with the values of local variables, as the most talkative tools do."""
    bot = WiredBot(tmp_path, None, virtual_venue())
    plan = bot.run.session.plan

    def broken(*_: object) -> None:
        assert plan.client_secret
        raise RuntimeError(f"a bug with {plan!r}, {bot.run.config!r}")

    monkeypatch.setattr(bot.run.pipeline, method, broken)
    bot.start().let(2)
    assert isinstance(bot.result, Failure)
    text = bot.result.getTraceback() + bot.result.getErrorMessage()
    error = traceback.TracebackException(
        type(bot.result.value), bot.result.value, bot.result.value.__traceback__, capture_locals=True
    )
    assert "a bug" in text
    assert shown(text + "".join(error.format()), WIRED) == []


# -- the command line, over TLS --------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [["--json"], []])
def test_no_output_and_no_file_of_the_command_shows_a_secret(flags: list[str], bench: Bench, tmp_path: Path) -> None:
    bench.serve()
    folder = tmp_path / "journals"
    config = bench.config(mode="trade", recording={"directory": str(folder)}, alerts={"urls": [ALERT_URL]})
    assert bench.microlev("run", config, "--seconds", "0.5", *flags) == 0
    assert bench.out
    assert shown(bench.out + bench.err, GIVEN) == []
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != config]
    assert any(path.name.endswith(".journal.zst") for path in files)
    assert [path.name for path in files if shown(journal_bytes(path), GIVEN)] == []


def test_the_demo_makes_its_own_secrets_and_shows_none(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import secrets

    made: list[str] = []
    real = secrets.token_urlsafe

    def note(length: int) -> str:
        made.append(real(length))
        return made[-1]

    monkeypatch.setattr(secrets, "token_urlsafe", note)
    assert bench.microlev("demo", "--seconds", "0.3", "--json", "--record", bench.folder / "journals") == 0
    assert len(made) == 3
    assert shown(bench.out + bench.err, made) == []
    (journal,) = (bench.folder / "journals").glob("*.journal.zst")
    assert shown(journal_bytes(journal), made) == []


def test_check_shows_no_secret(bench: Bench) -> None:
    assert bench.microlev("check", bench.config(alerts={"urls": [ALERT_URL]})) == 0
    assert bench.out.count("**********") == 4
    assert shown(bench.out + bench.err, GIVEN) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"credentials": {"client_secret": "wrong-but-secret"}},
        {"credentials": {"access_token": "wrong-but-secret"}},
        {"account": {"id": 42}},
        {"symbols": {"NOPE": {}}},
    ],
)
def test_a_refusal_by_the_venue_shows_no_secret(changes: dict[str, Any], bench: Bench) -> None:
    bench.serve()
    assert bench.microlev("run", bench.config(**changes), "--json") in (2, 3)
    assert shown(bench.out + bench.err, [*GIVEN, "wrong-but-secret"]) == []


def test_a_crash_of_the_command_shows_no_secret(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import bot.net.driver

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    bench.serve()
    monkeypatch.setattr(bot.net.driver.Driver, "_after", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        bench.microlev("run", bench.config(mode="trade"), "--json")
    kind, error, trace = sys.exc_info()
    assert shown(bench.out + bench.err + "".join(traceback.format_exception(kind, error, trace)), GIVEN) == []
