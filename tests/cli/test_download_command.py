"""`microlev download` against the embedded venue over real TLS: what it writes, how it goes on, what it refuses."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import twisted.internet
import yaml
from private_reactor import VIEW_TOKEN, Bench, bench
from reactor_end import close_reactor
from rich.console import Console
from twisted.internet.selectreactor import SelectReactor

import bot.cli.download
import bot.net.clock
import bot.net.enquirer  # keeps the clock that runs
from bot.cli.download_lines import DownloadBar, DownloadLines
from bot.ctrader.tick_download import TickDay, TickSource, TickSpan
from bot.ctrader.tick_merge import Quotes
from bot.research.tick_archive import StoredDay
from bot.sim.day_files import DAY_MS, DayFile, date_of
from bot.sim.past import DayTicks, Past
from bot.sim.recording import open_recording

pq = pytest.importorskip("pyarrow.parquet")

__all__ = ["bench"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

ROOT = Path(__file__).parents[2]
TODAY = 20_468  # 2026-01-15, by the clock of the commands under test; it is noon
VIEW = {"credentials": {"access_token": VIEW_TOKEN}}


def day(back: int, today: int = TODAY) -> str:
    return date_of((today - back) * DAY_MS)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = (TODAY * DAY_MS + DAY_MS // 2) * 1_000_000
    monkeypatch.setattr(bot.net.clock, "run_clock", lambda: lambda: now_ns)


class Served:
    """The bench's venue with a past of two ticks a side and day; `before` is called with a day when it is asked for."""

    def __init__(self, bench: Bench) -> None:
        self.asked: list[int] = []
        self.before: Callable[[int], None] = lambda back: None
        past = Past(self._make, begin_ms=0, end_ms=TODAY * DAY_MS)
        self.server = bench.serve({"past": past})
        self._page = self.server.venue.tick_page
        self.server.venue.tick_page = self._asked  # type: ignore[method-assign]
        self.bench = bench
        self.out = bench.folder / "ticks"

    def _asked(self, spec: Any, side: str, from_ms: int, to_ms: int) -> Any:
        back = TODAY - from_ms // DAY_MS
        self.asked.append(back)
        self.before(back)
        return self._page(spec, side, from_ms, to_ms)

    @staticmethod
    def _make(spec: Any, number: int, price_e5: int) -> DayTicks:
        if (TODAY - number) == 2:
            return DayTicks()
        at = number * DAY_MS
        return DayTicks(((at, 110_000), (at + 5, 110_001)), ((at + 5, 110_010), (at + 9, 110_011)))

    def download(self, first: int, last: int, *flags: str, **changes: Any) -> int:
        config = self.bench.config(**(VIEW | changes))
        days = ("--from", day(first), "--to", day(last), "--out", self.out)
        return self.bench.microlev("download", config, "--symbol", "eurusd", *days, *flags)

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.out.rglob("*.parquet"))


Rerun = Callable[[], None]


@pytest.fixture
def rerun(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Rerun:
    """Returns what makes the bench ready for one more run: a reactor runs once."""

    def renew() -> None:
        close_reactor(bench.reactor)
        bench.reactor = SelectReactor()
        monkeypatch.setattr(twisted.internet, "reactor", bench.reactor, raising=False)

    return renew


def test_days_are_written_told_as_json_and_not_asked_for_again(bench: Bench) -> None:
    served = Served(bench)
    assert served.download(3, 1, "--json") == 0, bench.err
    full, empty, summary = bench.lines
    folder = served.out / "EURUSD"
    assert full == {
        "type": "day", "symbol": "EURUSD", "day": day(3), "from": f"{day(3)}T00:00:00.000Z",
        "to": f"{day(2)}T00:00:00.000Z", "bid_ticks": 2, "ask_ticks": 2, "rows": 2, "complete": True,
        "file": str(folder / f"EURUSD_{day(3)}.parquet"), "seconds": 0,
    }  # fmt: skip
    assert (empty["day"], empty["rows"], empty["complete"]) == (day(2), 0, True)
    assert summary == {
        "type": "summary", "days_asked": 2, "days_written": 2, "days_empty": 1, "days_known": 0, "ticks": 4,
        "directory": str(served.out), "complete": True,
    }  # fmt: skip
    table = pq.read_table(folder / f"EURUSD_{day(3)}.parquet")
    assert (table["bid"].to_pylist(), table["ask"].to_pylist()) == ([1.10001, 1.10001], [1.1001, 1.10011])
    assert open_recording(str(served.out)).spec.name == "EURUSD"


def test_a_download_that_is_interrupted_goes_on_with_the_missing_days_only(bench: Bench, rerun: Rerun) -> None:
    served = Served(bench)
    served.before = lambda back: os.kill(os.getpid(), signal.SIGINT) if back == 3 else None
    assert served.download(4, 1) == 130
    assert served.files == [f"EURUSD_{day(4)}.parquet"]
    assert bench.err == "interrupted; the same command goes on from here\n"
    assert bench.out.splitlines()[-1].startswith(
        "1 of 3 day(s) written, 0 of them without ticks; 0 there already; 4 ti"
    )

    rerun()
    served = Served(bench)
    assert served.download(4, 1) == 0
    assert set(served.asked) == {3, 2}
    first, second, last = bench.out.splitlines()
    assert first.startswith(f"EURUSD {day(3)}  2 bid and 2 ask ticks, 2 rows in ")
    assert second == f"EURUSD {day(2)}  no ticks"
    assert last.startswith("2 of 2 day(s) written, 1 of them without ticks; 1 there already; 4 ticks in ")

    rerun()
    served = Served(bench)
    assert served.download(4, 1, "--json") == 0
    assert served.asked == []
    assert [(line["type"], line["days_asked"], line["days_known"]) for line in bench.lines] == [("summary", 0, 3)]


@pytest.mark.slow
def test_a_corrupt_day_is_told_and_asked_for_anew(bench: Bench, rerun: Rerun) -> None:
    assert Served(bench).download(4, 1) == 0
    path = bench.folder / "ticks" / "EURUSD" / f"EURUSD_{day(3)}.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    rerun()
    served = Served(bench)
    assert served.download(4, 1) == 0
    assert set(served.asked) == {3}
    assert path.read_bytes() == whole
    assert f"EURUSD_{day(3)}.parquet is not a readable parquet file" in bench.err
    assert bench.err.endswith("its day is asked for again\n")


def test_a_lost_connection_is_made_again_and_goes_on_after_the_last_whole_day(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.cli.download, "_LONGEST_PAUSE_S", 0.01)
    served, dropped = Served(bench), []

    def drop(back: int) -> None:
        if back == 3 and not dropped:
            dropped.append(back)
            served.server._clients[0].transport.abortConnection()

    served.before = drop
    assert served.download(4, 1, "--json") == 0, bench.err
    assert [line.get("day") for line in bench.lines] == [day(4), None, day(3), day(2), None]
    wait, summary = bench.lines[1], bench.lines[-1]
    assert (wait["type"], wait["seconds"]) == ("wait", 0.01)
    assert "connection lost" in wait["reason"]
    assert (summary["days_asked"], summary["days_written"], summary["days_known"]) == (3, 3, 0)


def test_it_gives_up_when_drop_follows_drop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.cli.download, "_LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr(bot.cli.download, "_MOST_DROPS", 2)
    served = Served(bench)
    tries = []

    def drop(back: int) -> None:
        tries.append(back)
        served.server._clients[0].transport.abortConnection()

    served.before = drop
    assert served.download(4, 1) == 4
    assert "connection lost" in bench.err.splitlines()[-1]
    assert bench.err.count("going on in") == 2


def test_today_is_kept_as_far_as_it_has_come(bench: Bench) -> None:
    served = Served(bench)
    config = bench.config()
    assert bench.microlev("download", config, "--from", day(0), "--to", day(-1), "--out", served.out, "--json") == 0
    line = bench.lines[0]
    assert (line["symbol"], line["day"], line["complete"]) == ("EURUSD", day(0), False), "the config's symbol"
    assert line["to"] == f"{day(0)}T12:00:00.000Z"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--from", "2026-13-01"), "--from: '2026-13-01' is no date such as 2026-01-01"),
        (("--from", "1969-12-31"), "--from: 1969-12-31 is before 1970"),
        (("--from", day(-1)), f"--from: {day(-1)} is in the future"),
        (("--from", day(3), "--to", day(-2)), f"--to: {day(-2)} is in the future"),
        (("--from", day(3), "--to", day(3)), f"--to: {day(3)} is not after {day(3)}"),
        (("--from", "2026-01-01T10:00+02:00", "--to", "2026-01-01T08:00"), "--to is exclusive"),
        (("--from", day(3), "--to", day(2), "--out", __file__), "cannot be written to"),
    ],
)
def test_a_bad_period_or_folder_is_exit_2_in_one_line_before_anything_is_asked(
    flags: tuple[str, ...], words: str, bench: Bench
) -> None:
    assert bench.microlev("download", bench.config(), *flags) == 2
    assert words in bench.err
    assert bench.err.count("\n") == 1
    assert bench.out == ""


def test_what_cannot_be_had_ends_in_one_line_with_its_exit_code(bench: Bench, rerun: Rerun) -> None:
    served = Served(bench)
    config = bench.config()
    assert bench.microlev("download", config, "--symbol", "EURUDS", "--from", day(3), "--out", served.out) == 2
    assert bench.err == "the venue has no symbol 'EURUDS'; close names: EURUSD, XAUUSD, EURJPY\n"
    assert bench.out == ""
    rerun()
    served = Served(bench)
    folder = served.out / "EURUSD"
    folder.mkdir(parents=True)
    (folder / f"EURUSD_{day(3)}.parquet").write_bytes(_foreign())
    assert served.download(3, 1) == 2
    assert "is not from a download: move it away, choose another --out, or give --force" in bench.err
    assert served.asked == []


def _foreign() -> bytes:
    import pyarrow

    out = io.BytesIO()
    pq.write_table(pyarrow.table({"a": [1]}), out)
    return out.getvalue()


def test_without_pyarrow_the_extra_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert bench.microlev("download", bench.config(), "--from", day(3)) == 2
    assert "pip install 'microlev[research]'" in bench.err


def test_a_day_that_cannot_be_written_is_exit_1(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    served = Served(bench)
    monkeypatch.setattr(os, "fsync", full)
    assert served.download(3, 1) == 1
    assert bench.err.endswith(f"EURUSD_{day(3)}.parquet cannot be written: No space left on device\n")
    assert served.files == []


# -- what a person sees ----------------------------------------------------------------------------------------------


def test_the_bar_shows_symbol_day_ticks_pace_and_time_left() -> None:
    out, now_ns = io.StringIO(), [0]
    bar = DownloadBar(lambda: now_ns[0], "ticks", Console(file=out, force_terminal=True, width=120))
    source = TickSource("EURUSD", 1, 5, "demo")
    spans = [TickSpan(k * DAY_MS, (k + 1) * DAY_MS) for k in range(4)]
    bar.begin([(source, span) for span in spans], 2)
    for seconds, reached_ms, ticks in ((1, DAY_MS // 2, 1_000), (1.1, DAY_MS // 2, 1_001), (2, DAY_MS // 4, 3_000)):
        now_ns[0] = round(seconds * 10**9)
        bar.advanced(source, spans[0], reached_ms, ticks)
    assert "EURUSD 1970-01-01" in out.getvalue()
    assert "3,000 ticks  1,500/s  left" in out.getvalue()
    assert "1,001" not in out.getvalue(), "it is drawn five times a second at most"
    whole = TickDay(source, spans[0], Quotes(*(np.zeros(2, np.int64) for _ in range(3))), 2_000, 2_000)
    stored = StoredDay(Path("x"), DayFile("EURUSD", 5, "demo", 0, DAY_MS, 2, 2_000, 2_000), is_complete=True)
    now_ns[0] = 4 * 10**9
    bar.stored(whole, stored)
    assert " 25 %  4,000 ticks  1,000/s  left" in out.getvalue()
    bar.waiting("connection lost", 2.0)
    assert "connection lost; going on in 2 s" in out.getvalue()
    bar.begin([(source, span) for span in spans[1:]], 0)
    bar.progress("connected")
    bar.stored(whole, StoredDay(Path("x"), stored.file, is_complete=False))
    assert " 50 %  8,000 ticks" in out.getvalue()
    assert "not whole: it will be asked for again" in out.getvalue()


def test_nobody_reading_does_not_end_a_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = DownloadLines(lambda: 0, "ticks")
    lines.begin([], 3)
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)

        def closed(*_: Any, **__: Any) -> None:
            raise BrokenPipeError

        monkeypatch.setattr("builtins.print", closed)
        lines.summarise()


# -- a process that is killed ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_process_killed_between_days_loses_none_of_them(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def start(*arguments: object) -> "subprocess.Popen[str]":
        words = [sys.executable, "-m", "bot", *map(str, arguments)]
        return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)

    sim = start("sim")
    try:
        assert sim.stdout is not None
        ready = json.loads(sim.stdout.readline())
        config = tmp_path / "bot.yaml"
        content = {
            "venue": {key: ready[key] for key in ("host", "port", "ca_file")} | {"environment": "simulator"},
            "account": {"id": ready["accounts"][0]["id"]},
            "credentials": {key: ready[key] for key in ("client_id", "client_secret", "access_token")},
            "symbols": {"BTCUSD": {}},
        }
        config.write_text(yaml.safe_dump(content), encoding="utf-8")
        today = time.time_ns() // 1_000_000 // DAY_MS
        period = ("--from", day(9, today), "--to", day(1, today))
        arguments = ("download", config, *period, "--out", tmp_path / "ticks", "--json")
        killed = start(*arguments)
        assert killed.stdout is not None
        seen = [json.loads(killed.stdout.readline())["day"] for _ in range(3)]
        killed.kill()
        seen += [json.loads(line)["day"] for line in killed.communicate()[0].splitlines() if line.endswith("}")]
        again = start(*arguments)
        *days, summary = (json.loads(line) for line in again.communicate(timeout=60)[0].splitlines())
        assert again.returncode == 0
        assert summary["days_known"] in (len(seen), len(seen) + 1), "a day may be on disk before it is told"
        assert summary["days_known"] + len(days) == 8
        assert not set(seen) & {line["day"] for line in days}
        assert len(list((tmp_path / "ticks" / "BTCUSD").iterdir())) == 8
    finally:
        sim.send_signal(signal.SIGINT)
        sim.communicate(timeout=20)
