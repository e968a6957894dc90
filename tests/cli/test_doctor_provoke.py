"""`microlev doctor --provoke` over real TLS: refused where it must be; the new token is in the file, in no output."""

import json
import time
from pathlib import Path

import pytest
from private_reactor import SECRETS, Bench, bench
from test_doctor_command import _quick, with_file

import bot.doctor.excess
import bot.doctor.second_connection
import bot.doctor.token_refresh

__all__ = ["_quick", "bench"]  # fixtures

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less: what is measured here is not how the market moves."""
    for module, name in (
        (bot.doctor.excess, "BETWEEN_S"),
        (bot.doctor.second_connection, "TOGETHER_S"),
        (bot.doctor.token_refresh, "AFTERMATH_S"),
    ):
        monkeypatch.setattr(module, name, 0.4)


def test_it_is_refused_with_2_on_the_live_environment_before_connecting(bench: Bench) -> None:
    config = bench.config(venue={"environment": "live", "host": "localhost", "port": 9})
    assert bench.microlev("doctor", config, "--provoke") == 2
    assert "--provoke is for demo accounts only" in bench.err
    assert bench.out == ""


@pytest.mark.slow
def test_everything_is_provoked_and_the_new_token_is_kept_and_in_no_output(bench: Bench, tmp_path: Path) -> None:
    server = bench.serve()
    config, report = with_file(bench, tmp_path), tmp_path / "report.md"
    code = bench.microlev("doctor", config, "--provoke", "--json", "--seconds", "0.3", "--report", report, limit_s=60)
    assert code == 0, bench.out + bench.err
    found = {line["name"]: line for line in bench.lines if "name" in line}
    assert found["token_kept"]["result"] == found["session_restored"]["result"] == "ok"
    assert found["second_connection.holds"]["value"] == "both"
    assert found["excess.OrderListReq"]["value"]["codes"] == ["REQUEST_FREQUENCY_EXCEEDED"]
    kept = json.loads((tmp_path / "token.json").read_text())
    assert kept["access_token"] != SECRETS["access_token"]
    assert server.venue.credentials.grant(kept["access_token"]) is not None
    assert kept["expires_at"] > time.time()
    hidden = [*SECRETS.values(), kept["access_token"], kept["refresh_token"]]
    assert not any(secret in bench.out + bench.err + report.read_text() for secret in hidden)
    assert server._clients == []


@pytest.mark.slow
def test_a_token_of_the_config_is_never_refreshed(bench: Bench) -> None:
    server = bench.serve()
    assert bench.microlev("doctor", bench.config(), "--provoke", "--json", "--seconds", "0.2", limit_s=90) == 0
    (events,) = [line for line in bench.lines if line.get("name") == "token_refresh.events"]
    assert (events["value"], "not tried" in events["text"]) == (None, True)
    assert server.venue.credentials.grant(SECRETS["access_token"]) is not None
