"""`run` with telemetry in this process: the line that says where it is, several runs at once, a port that is taken."""

import json
import re
import socket
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from private_reactor import ACCOUNT, SECRETS, Bench, bench

import bot.net.telemetry
from bot.net.clock import run_clock
from bot.net.simulator import start_simulator
from bot.net.telemetry_file import TelemetryPlace, read_place
from bot.sim.entities import AccountSettings
from bot.sim.market import open_market
from bot.sim.venue import Venue

__all__ = ["bench"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[TelemetryPlace]:
    """Every place that a run has told of."""
    told: list[TelemetryPlace] = []
    real = bot.net.telemetry.write_place

    def note(directory: Path, place: TelemetryPlace) -> None:
        real(directory, place)
        told.append(place)

    monkeypatch.setattr(bot.net.telemetry, "write_place", note)
    return told


def test_run_says_where_telemetry_is_and_never_with_what(bench: Bench, places: list[TelemetryPlace]) -> None:
    bench.serve()
    assert bench.microlev("run", bench.config(telemetry={"enabled": True}), "--seconds", "0.3", "--json") == 0
    (place,) = places
    file = bench.folder / "state" / "telemetry.json"
    assert f"telemetry on {place.url} (token in {file})" in bench.err.splitlines()
    assert place.token not in bench.out + bench.err
    assert not file.exists() and read_place(file.parent) is None
    assert all(isinstance(json.loads(line), dict) for line in bench.out.splitlines())


def test_without_telemetry_no_word_is_said_of_it(bench: Bench, places: list[TelemetryPlace]) -> None:
    bench.serve()
    assert bench.microlev("run", bench.config(), "--seconds", "0.3", "--json") == 0
    assert places == [] and "telemetry" not in bench.err


def test_a_taken_port_is_exit_2_in_one_line_and_nothing_was_sent(bench: Bench, places: list[TelemetryPlace]) -> None:
    bench.serve()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = bench.config(telemetry={"enabled": True, "port": port})
        assert bench.microlev("run", path) == 2
    line = path.read_text(encoding="utf-8").splitlines().index(f"  port: {port}") + 1
    assert re.fullmatch(
        rf"{re.escape(str(path))}:{line}: telemetry\.port: 127\.0\.0\.1 port {port} cannot be listened on \(.+\); .+\n",
        bench.err,
    )
    assert places == [] and bench.out == ""
    assert not bench.reactor.running, "the venue was never spoken to"


def two(bench: Bench, **telemetry: Any) -> list[Path]:
    """Serve a venue with two accounts, and write a config for each."""
    now_ns = run_clock()
    start_ns = now_ns()
    accounts = [AccountSettings(ACCOUNT + n, "hedged", "USD", Decimal(10_000)) for n in range(2)]
    market = open_market("synthetic:calm", seed=1, start_ns=start_ns, speed=1.0)
    venue = Venue(market, accounts=accounts, start_ns=start_ns, **SECRETS)
    bench.server = start_simulator(bench.reactor, venue, 0, now_ns=now_ns)
    bench.reactor.addSystemEventTrigger("before", "shutdown", bench.server.stop)
    paths = []
    for number in range(2):
        content = yaml.safe_load(bench.config(telemetry={"enabled": True} | telemetry).read_text(encoding="utf-8"))
        content["account"]["id"] = ACCOUNT + number
        content["state"]["directory"] = str(bench.folder / f"state{number}")
        paths.append(bench.folder / f"bot{number}.yaml")
        paths[-1].write_text(yaml.safe_dump(content), encoding="utf-8")
    return paths


def test_several_runs_have_each_their_own(bench: Bench, places: list[TelemetryPlace]) -> None:
    assert bench.microlev("run", *two(bench), "--seconds", "0.5", "--json") == 0
    assert [place.account_id for place in places] == [ACCOUNT, ACCOUNT + 1]
    assert len({place.url for place in places}) == len({place.token for place in places}) == 2
    for place in places:
        assert f"account {place.account_id}: telemetry on {place.url} (token in " in bench.err
    assert not list(bench.folder.glob("state*/telemetry.*"))


def test_two_runs_on_one_port_start_neither_and_leave_nothing_behind(
    bench: Bench, places: list[TelemetryPlace]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert bench.microlev("run", *two(bench, port=port), "--json") == 2
    assert "bot1.yaml:" in bench.err and f"port {port} cannot be listened on" in bench.err
    assert len(places) == 1 and not list(bench.folder.glob("state*/telemetry.*"))


def test_explain_opens_no_port_beside_that_of_the_bot(bench: Bench, places: list[TelemetryPlace]) -> None:
    bench.serve()
    assert bench.microlev("explain", bench.config(telemetry={"enabled": True}), "--seconds", "0.3") == 0
    assert places == []


def test_a_demo_with_telemetry_tells_it_in_the_folder_that_it_is_steered_by(
    bench: Bench, places: list[TelemetryPlace], tmp_path: Path
) -> None:
    from bot.app import run_demo

    folders: list[Path] = []
    code, text = run_demo(
        market="synthetic:calm",
        seed=1,
        trade=False,
        seconds=0.3,
        faults=None,
        journal_directory=tmp_path / "journals",
        watch=lambda run: [],
        summarise=lambda run, driver: {},
        steer_by=lambda path: folders.append(path.parent),
        telemetry=True,
    )
    assert (code, text) == (0, "")
    assert len(places) == len(folders) == 1
    assert not folders[0].exists()
