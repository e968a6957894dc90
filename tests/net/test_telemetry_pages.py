"""Telemetry asked in memory: what it shows, whom it turns away, what its commands do, that looking costs nothing."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from telemetry_desk import COMPOSITE, TelemetryDesk

import bot.net.telemetry
from bot.net.telemetry import LONGEST_COMMAND, MOST_CONNECTIONS
from bot.net.telemetry_access import COMMANDS_A_MINUTE, READS_AT_ONCE, WRONG_TOKENS_A_MINUTE
from bot.net.telemetry_stream import MOST_READERS

PATHS = [("/state", "GET"), ("/stream", "GET"), ("/metrics", "GET"), ("/command", "POST")]


@pytest.fixture
def desk(tmp_path: Path) -> TelemetryDesk:
    return TelemetryDesk(tmp_path).start()


def without_clock(shown: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in shown.items() if key not in ("latency", "stop_file")}


# -- what it shows -----------------------------------------------------------------------------------------------------


def test_state_is_the_snapshot_of_the_run_and_none_may_keep_it(desk: TelemetryDesk) -> None:
    answer = desk.get("/state")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json; charset=utf-8")
    shown = answer.json
    assert (shown["type"], shown["source"], shown["run_id"]) == ("snapshot", "live", "run1")
    assert [each["symbol"] for each in shown["symbols"] if each["bids"] and each["asks"]] == ["EURUSD", "USDJPY"]
    assert len(shown["positions"]) == len(shown["fills"]) == 2
    status = desk.bot.command("status")["status"] | {"type": "snapshot"}
    assert {key: shown[key] for key in status if key != "stop_file"} == without_clock(status)
    assert (answer.headers["cache-control"], answer.headers["server"]) == ("no-store", "microlev")
    assert not {name for name in answer.headers if name.startswith("access-control") or name == "set-cookie"}


def test_ladders_are_of_the_symbols_that_are_asked_for(desk: TelemetryDesk) -> None:
    def shown(query: str) -> list[str]:
        return [each["symbol"] for each in desk.get(f"/state{query}").json["symbols"] if each["bids"]]

    assert shown("?ladders=USDJPY") == ["USDJPY"]
    assert shown("?ladders=EURUSD,USDJPY") == ["EURUSD", "USDJPY"]
    assert shown("?ladders=") == shown("?ladders=NOPE") == []
    assert shown("") == ["EURUSD", "USDJPY"]


def test_a_line_says_what_the_snapshot_says_at_every_moment(desk: TelemetryDesk) -> None:
    telemetry = desk.bot.telemetry
    assert telemetry is not None
    for step in range(12):
        if step in (3, 6):
            desk.post({"command": ("resume", "halt")[step % 2]})
        ladders = frozenset(("EURUSD", "USDJPY")[: step % 3])
        telemetry._feed.expire()
        assert json.loads(telemetry._feed.line(ladders)) == telemetry._snapshot(ladders)
        desk.bot.let(0.5)
    assert len(telemetry._snapshot([])["events"]) > 8


def test_who_asks_soon_again_gets_the_same_snapshot_and_later_a_new_one(desk: TelemetryDesk) -> None:
    feed = desk.bot.telemetry._feed  # type: ignore[union-attr]
    first = desk.get("/state").body
    assert desk.get("/state").body == first and feed.made == 1
    desk.bot.let(0.26)
    assert desk.get("/state").body != first and feed.made == 2


def test_latencies_are_in_the_snapshot(desk: TelemetryDesk) -> None:
    latency = desk.get("/state").json["latency"]
    assert 0 < latency["decision_p50_us"] <= latency["decision_p99_us"]
    assert set(latency) == {f"{kind}_{share}_us" for kind in ("decision", "order") for share in ("p50", "p99")}


# -- commands ----------------------------------------------------------------------------------------------------------


def test_a_command_goes_the_way_of_the_control_socket_and_is_seen_at_once(desk: TelemetryDesk) -> None:
    assert desk.get("/state").json["trading"] == "active"
    answer = desk.post({"command": "halt", "reason": "lunch\nbreak"})
    assert (answer.status, answer.json["ok"]) == (200, True)
    status = answer.json["status"]
    assert status == json.loads(json.dumps(desk.bot.command("status")["status"]))
    assert (status["trading"], status["stop_file"]) == ("halted", None)
    assert "lunch break" in status["causes"][0]["text"]
    assert desk.get("/state").json["trading"] == "halted"
    assert desk.post({"command": "resume"}).json["status"]["trading"] == "active"


def test_flatten_closes_what_is_held_and_resume_takes_the_stop_file_away(desk: TelemetryDesk) -> None:
    desk.post({"command": "flatten"})
    desk.bot.until(lambda: not desk.bot.run.engine.portfolio.positions(), limit_s=10)
    (desk.folder / "stop").touch()
    desk.bot.let(1.5)
    assert desk.post({"command": "halt"}).json["status"]["stop_file"] == str(desk.folder / "stop")
    assert desk.post({"command": "resume"}).json["status"]["trading"] == "active"
    assert not (desk.folder / "stop").exists()


def test_what_the_control_socket_refuses_is_refused_in_its_words(desk: TelemetryDesk) -> None:
    (desk.folder / "stop").mkdir()
    desk.bot.let(1.5)
    answer = desk.post({"command": "resume"})
    assert (answer.status, answer.json["ok"]) == (409, False)
    assert "take it away" in answer.json["error"]


@pytest.mark.parametrize(
    "body",
    [b"", b"halt", b"[]", b'{"command": "stop"}', b'{"command": "status"}', b'{"command": ["halt"]}', b"[" * 4000],
)
def test_what_is_no_command_is_refused_and_changes_nothing(body: bytes, desk: TelemetryDesk) -> None:
    count = len(desk.bot.decisions)
    answer = desk.post(body)
    assert (answer.status, answer.json["ok"]) == (400, False)
    assert "halt, resume, flatten" in answer.json["error"]
    assert len(desk.bot.decisions) == count


def test_a_run_that_is_not_steered_refuses_every_command(tmp_path: Path) -> None:
    desk = TelemetryDesk(tmp_path, is_steered=False).start()
    answer = desk.post({"command": "halt"})
    assert (answer.status, answer.json) == (403, {"ok": False, "error": "this run is not to be steered"})
    assert desk.bot.run.engine.trading == "active"


def test_an_error_of_ours_over_a_command_is_told_without_details(desk: TelemetryDesk) -> None:
    def broken(request: object) -> dict[str, Any]:
        raise RuntimeError("a bug")

    desk.bot.telemetry._pages.steer = broken  # type: ignore[union-attr]
    answer = desk.post({"command": "halt"})
    assert answer.status == 500 and "a bug" not in answer.body.decode()


def test_a_body_that_is_too_long_is_not_read(desk: TelemetryDesk) -> None:
    command = b'{"command": "halt"}'
    assert desk.post(command.ljust(LONGEST_COMMAND)).status == 200
    longer = desk.ask("/command", "POST", body=command.ljust(LONGEST_COMMAND + 1))
    assert (longer.answer.status, longer.lost) == (413, "ConnectionDone")
    told = desk.connect().ask("POST", "/command", {"Content-Length": str(LONGEST_COMMAND + 1)})
    assert told.answer.status == 413, "before any of it has come"
    # The same without a length told beforehand.
    chunked = desk.ask("/command", "POST", transfer_encoding="chunked")
    chunked.send(b"1000\r\n" + b" " * 4096 + b"\r\n")
    assert chunked.lost is None
    chunked.send(b"1\r\n \r\n0\r\n\r\n")
    assert (chunked.answer.status, chunked.lost) == (413, "ConnectionDone")


# -- who is turned away ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "method"), [*PATHS, ("/", "GET"), ("/nothing", "GET"), ("/state", "OPTIONS")])
@pytest.mark.parametrize(
    "given", [None, "Bearer ", "Bearer wrong", "Basic eDp5", "TOKEN", "bearer TOKEN", "Bearer TOKEN "]
)
def test_nothing_is_told_without_the_token(path: str, method: str, given: str | None, desk: TelemetryDesk) -> None:
    wrong = given.replace("TOKEN", desk.place.token[:-1]) if given else None
    answer = desk.ask(path, method, authorization=wrong).answer
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert set(answer.json) == {"ok", "error"} and desk.place.token not in answer.body.decode()


def test_the_token_is_long_and_another_at_every_start(tmp_path: Path) -> None:
    tokens = {TelemetryDesk(tmp_path / str(n)).place.token for n in range(3)}
    assert len(tokens) == 3 and all(len(token) >= 43 for token in tokens)


def test_the_token_is_compared_in_constant_time(desk: TelemetryDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    real = bot.net.telemetry_access.hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(bot.net.telemetry_access.hmac, "compare_digest", compare)
    assert desk.get("/state").status == 200
    assert desk.get("/state", authorization="Bearer é").status == 401
    assert len(compared) == 2


@pytest.mark.parametrize(
    "host", ["rebound.example", "rebound.example:40000", "127.0.0.1.example", "10.0.0.1", "", None]
)
def test_another_name_that_leads_here_gets_nothing_even_with_the_token(host: str | None, desk: TelemetryDesk) -> None:
    answer = desk.get("/state", Host=host)
    assert answer.status in (400, 403) and b"EURUSD" not in answer.body


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "[::1]:40000"])
def test_a_name_of_this_machine_is_let_in(host: str, desk: TelemetryDesk) -> None:
    assert desk.get("/state", Host=host).status == 200


@pytest.mark.parametrize("origin", ["http://127.0.0.1:40000", "null", "https://evil.example"])
def test_a_page_in_a_browser_is_turned_away(origin: str, desk: TelemetryDesk) -> None:
    answer = desk.get("/state", Origin=origin)
    assert answer.status == 403 and "access-control-allow-origin" not in answer.headers
    assert desk.ask("/command", "OPTIONS", Origin=origin, access_control_request_method="POST").answer.status == 403


@pytest.mark.parametrize(("path", "method"), PATHS)
def test_a_path_takes_its_own_method_only(path: str, method: str, desk: TelemetryDesk) -> None:
    for other in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"):
        if other != method:
            answer = desk.ask(path, other).answer
            assert (answer.status, answer.headers["allow"]) == (405, method)


def test_any_other_path_is_not_there(desk: TelemetryDesk) -> None:
    for path in ("/", "/state/", "/state/x", "//state", "/../state", "/stop"):
        answer = desk.get(path)
        assert (answer.status, answer.json["ok"]) == (404, False)


def test_a_question_that_makes_no_sense_is_refused(desk: TelemetryDesk) -> None:
    for every_s in ("soon", "-1", "nan", "inf", "61", "0.5,1"):
        answer = desk.get(f"/stream?every_s={every_s}")
        assert answer.status == 400 and "every_s" in answer.json["error"]


# -- how often ---------------------------------------------------------------------------------------------------------


def test_wrong_tokens_are_slowed_down_and_the_right_one_never_is(desk: TelemetryDesk) -> None:
    answers = [desk.get("/state", authorization="Bearer wrong") for _ in range(WRONG_TOKENS_A_MINUTE + 2)]
    assert [answer.status for answer in answers] == [401] * WRONG_TOKENS_A_MINUTE + [429] * 2
    assert answers[-1].headers["retry-after"] == "6"
    assert desk.get("/state").status == 200
    desk.bot.let(6.1, 0.1)
    assert [desk.get("/state", authorization="Bearer wrong").status for _ in range(2)] == [401, 429]


def test_each_command_may_come_ten_times_a_minute_and_none_keeps_another_away(desk: TelemetryDesk) -> None:
    answers = [desk.post({"command": "resume"}) for _ in range(COMMANDS_A_MINUTE + 1)]
    assert [answer.status for answer in answers] == [200] * COMMANDS_A_MINUTE + [429]
    assert answers[-1].json["ok"] is False and answers[-1].headers["retry-after"] == "6"
    assert desk.post({"command": "halt"}).json["status"]["trading"] == "halted"
    desk.bot.let(6.1, 0.1)
    assert desk.post({"command": "resume"}).status == 200


def test_reading_is_bounded_too(desk: TelemetryDesk) -> None:
    assert {desk.get("/state").status for _ in range(READS_AT_ONCE)} == {200}
    assert [desk.get(path).status for path in ("/state", "/stream", "/metrics")] == [429] * 3
    desk.bot.let(1)
    assert desk.get("/state").status == 200


def test_of_too_many_connections_the_oldest_without_a_stream_goes(desk: TelemetryDesk) -> None:
    streams = [desk.ask("/stream") for _ in range(MOST_READERS)]
    idle = [desk.connect() for _ in range(MOST_CONNECTIONS - MOST_READERS)]
    assert all(each.lost is None for each in (*streams, *idle))
    last = desk.connect()
    desk.bot.let(0.1)
    assert idle[0].lost == "ConnectionAborted"
    assert all(each.lost is None for each in (*streams, *idle[1:], last))


def test_one_connection_can_ask_again_and_again(desk: TelemetryDesk) -> None:
    connection = desk.connect()
    headers = {"authorization": f"Bearer {desk.place.token}"}
    for _ in range(3):
        connection.ask("GET", "/state?ladders=", headers)
    assert connection.read().count(b"HTTP/1.1 200 OK") == 3 and connection.lost is None


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.1", 401), ("elsewhere.example", 403)], ids=["without the token", "another name"]
)
def test_of_what_a_stranger_sends_at_once_one_request_is_looked_at(host: str, status: int, desk: TelemetryDesk) -> None:
    many = f"GET /state HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() * 1000
    for expected in [status] * WRONG_TOKENS_A_MINUTE + [429 if status == 401 else status]:
        connection = desk.connect().send(many)
        assert connection.read().count(b"HTTP/1.1") == 1
        assert (connection.answer.status, connection.lost) == (expected, "ConnectionDone")


def test_a_connection_that_says_nothing_is_let_go(desk: TelemetryDesk) -> None:
    silent, half = desk.connect(), desk.connect().send(b"GET /state HTTP/1.1\r\nHos")
    desk.bot.let(61, 0.25)
    assert (silent.lost, half.lost) == ("ConnectionDone", "ConnectionDone")


# -- that it costs the run nothing -------------------------------------------------------------------------------------


def looked_at(folder: Path, *, looks: bool) -> TelemetryDesk:
    """Run the composite for a quarter of a minute, with readers of every kind or without telemetry."""
    desk = TelemetryDesk(folder, telemetry={"enabled": looks}, **COMPOSITE)
    desk.bot.start().until(lambda: desk.bot.is_ready)
    readers = []
    if looks:
        readers = [desk.ask("/stream?every_s=0.1"), desk.ask("/stream?ladders=EURUSD")]
        readers[1].is_reading = False
    for step in range(60):
        desk.bot.let(0.25)
        if looks:
            readers[0].read()
            assert desk.get(("/state", "/metrics")[step % 2]).status == 200
    return desk


def test_the_decisions_of_a_market_are_the_same_with_telemetry_and_without(tmp_path: Path) -> None:
    seen, alone = (looked_at(tmp_path / str(looks), looks=looks) for looks in (True, False))
    assert seen.bot.telemetry is not None and seen.bot.telemetry._feed.made > 50
    assert len(alone.bot.encoded) > 200 and any(d.intended for d in alone.bot.decisions)
    assert seen.bot.encoded == alone.bot.encoded


def test_a_watcher_that_fails_costs_the_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    desk = TelemetryDesk(tmp_path)
    monkeypatch.setattr(type(desk.bot.telemetry._snapshots.fills), "__call__", broken)  # type: ignore[union-attr]
    desk.start().bot.let(3)
    assert desk.bot.result is None and desk.get("/state").json["fills"] == []


def test_a_snapshot_with_a_number_that_json_has_not_is_shown_all_the_same(desk: TelemetryDesk) -> None:
    telemetry = desk.bot.telemetry
    assert telemetry is not None
    real = telemetry._feed._make
    telemetry._feed._make = lambda ladders: real(ladders) | {"equity": float("nan")}
    assert desk.get("/state").json["equity"] is None


def test_a_snapshot_is_cheap(desk: TelemetryDesk) -> None:
    """Far below a batch's millisecond; the limit leaves room for a machine that is busy."""
    took = []
    for _ in range(20):
        began = time.perf_counter()
        desk.bot.telemetry._feed.renew(frozenset(["EURUSD"]))  # type: ignore[union-attr]
        took.append(time.perf_counter() - began)
    assert min(took) < 0.005


def test_without_telemetry_nothing_listens_and_nobody_watches(tmp_path: Path) -> None:
    desk = TelemetryDesk(tmp_path, telemetry={"enabled": False}).start()
    assert desk.bot.telemetry is None and desk.clock.ports == []
    assert not (desk.folder / "telemetry.json").exists()
