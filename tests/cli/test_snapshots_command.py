"""`microlev snapshots`: a recorded run as JSON lines, equal to what a live page was shown, up to where it differs."""

import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from wired_bot import WiredBot, bot_config, virtual_venue

from bot.assembly import Run
from bot.cli.main import main
from bot.engine.decision import Decision
from bot.journal.recording import Recording
from bot.journal.run_reader import open_run
from bot.journal.segments import packed_path
from bot.telemetry.plain import without_nan
from bot.telemetry.snapshot import Snapshots
from bot.telemetry.time_grid import thinned

COMPOSITE = {"name": "composite", "base_leverage": 3, "parameters": {"volatility_sample_s": 0.5}}
SIZING = {"warm_up_s": 3, "persistence_s": 1, "max_increase_frac_per_min": 1, "band": 0.05, "time_of_day": False}
# What only the process knows that ran; it tells of a lost connection in other words.
OF_THE_PROCESS = {"source", "process_id", "last_error", "latency"}


class Recorded:
    """A bot that was watched live at every decision, and recorded."""

    def __init__(self, folder: Path, *, seconds: float = 12, **changes: Any) -> None:
        self.live: list[dict[str, Any]] = []
        config = bot_config(folder, **({"strategy": COMPOSITE, "sizing": SIZING} | changes))
        self.bot = WiredBot(folder, config, virtual_venue(), seconds=seconds, watch=self._watch)
        self.bot.start()

    def _watch(self, run: Run) -> Sequence[Callable[[Decision], None]]:
        shown = Snapshots(run.config, run.session, run.engine)

        def look(decision: Decision) -> None:
            self.live.append(shown.snapshot(self.bot.driver.figures, decision.now_ns))

        return [shown, look]

    def end(self) -> "Recorded":
        self.bot.let(120)
        assert self.bot.result is not None
        return self

    @property
    def path(self) -> Path:
        return self.bot.journal_path


Lines = list[dict[str, Any]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Lines, str]]:
    """Run the command; return its exit code, its lines and its standard error."""

    def run(*arguments: object) -> tuple[int, Lines, str]:
        capsys.readouterr()
        code = main(["snapshots", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err

    return run


Told = Callable[..., tuple[int, Lines, str]]


def of_type(lines: Lines, kind: str) -> Lines:
    return [line for line in lines if line["type"] == kind]


def without(snapshot: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in snapshot.items() if key not in keys}


@pytest.mark.parametrize("trade", [False, True], ids=["dry-run", "trade"])
def test_every_snapshot_is_the_one_that_was_shown_live(trade: bool, tmp_path: Path, told: Told) -> None:
    recorded = Recorded(tmp_path, seconds=20, mode="trade" if trade else "dry-run")
    recorded.bot.let(14)
    recorded.bot.client.drop("a cable was pulled")
    recorded.end()
    code, lines, err = told(recorded.path)
    assert (code, err) == (0, "")
    shown = of_type(lines, "snapshot")
    assert [each["time_ns"] for each in shown] == sorted(each["time_ns"] for each in shown)
    for each in shown:
        same_time = [other for other in recorded.live if other["time_ns"] == each["time_ns"]]
        assert without(each, OF_THE_PROCESS) in [without(other, OF_THE_PROCESS) for other in same_time], each["time"]
        assert (each["source"], each["process_id"]) == ("journal", None)
    last = recorded.live[-1]
    assert without(shown[-1], OF_THE_PROCESS) == without(last, OF_THE_PROCESS)
    for each in (shown[-1], last):
        assert each["last_error"]["text"].endswith("lost: a cable was pulled")
    assert shown[-1]["last_error"]["time"] == last["last_error"]["time"]
    assert {each["connected"] for each in shown} == {True, False} and shown[-1]["connections"] == 2
    assert shown[-1]["fills"] and any(symbol["if_spread_doubles"] for each in shown for symbol in each["symbols"])


def test_the_first_line_says_what_the_recording_is_and_the_last_how_it_ended(tmp_path: Path, told: Told) -> None:
    recorded = Recorded(tmp_path).end()
    journal = recorded.bot.run.journal
    assert isinstance(journal, Recording)
    journal.put_away()
    first_ns, last_ns = recorded.live[0]["time_ns"], recorded.live[-1]["time_ns"]
    code, lines, _ = told(recorded.path)  # compressed by now; its name is good for either form
    assert not recorded.path.exists() and packed_path(recorded.path).exists()
    shown = of_type(lines, "snapshot")
    assert lines[0] == {
        "type": "recording",
        "run_id": "run1",
        "account_id": 1_000_001,
        "environment": "simulator",
        "mode": "dry-run",
        "strategy": "composite",
        "symbols": ["EURUSD", "USDJPY"],
        "first_ns": first_ns,
        "last_ns": last_ns,
        "every_ns": 250_000_000,
    }
    assert lines[-1] == {
        "type": "end",
        "snapshots": len(shown),
        "decisions": len(recorded.bot.decisions),
        "every_ns": 250_000_000,
        "differs": None,
        "truncated_at": None,
        "clean_stop": True,
    }
    assert code == 0 and 40 < len(shown) < len(recorded.live)
    assert all(0 <= line["read_frac"] <= 1 for line in of_type(lines, "progress"))


def test_an_interval_is_kept_to_and_a_number_that_is_known_too_small_lengthens_it_at_once(
    tmp_path: Path, told: Told
) -> None:
    recorded = Recorded(tmp_path).end()
    _, every_two, _ = told(recorded.path, "--every", 2)
    shown = of_type(every_two, "snapshot")
    assert len({each["time_ns"] // 2_000_000_000 for each in shown[:-1]}) == len(shown) - 1
    assert shown[-1]["time_ns"] == recorded.live[-1]["time_ns"], "the last moment is shown, wherever it lies"
    assert of_type(every_two, "thin") == [] and every_two[0]["every_ns"] == 2_000_000_000
    journal = recorded.bot.run.journal
    assert isinstance(journal, Recording)
    journal.put_away()
    _, few, _ = told(recorded.path, "--most", 5)
    assert few[0]["every_ns"] == 4_000_000_000 and of_type(few, "thin") == []
    assert len(of_type(few, "snapshot")) <= 6


def test_a_run_of_unknown_length_is_thinned_on_the_way(tmp_path: Path, told: Told) -> None:
    recorded = Recorded(tmp_path).end()  # without an index
    _, lines, _ = told(recorded.path, "--most", 5)
    assert (lines[0]["first_ns"], lines[0]["last_ns"], lines[0]["every_ns"]) == (None, None, 250_000_000)
    kept: Lines = []
    for line in lines:
        if line["type"] == "thin":
            kept = [kept[i] for i in thinned([each["time_ns"] for each in kept], line["every_ns"])]
        if line["type"] == "snapshot":
            kept.append(line)
            assert len(kept) <= 6
    assert [line["every_ns"] for line in of_type(lines, "thin")][-1] == lines[-1]["every_ns"] == 4_000_000_000
    _, coarse, _ = told(recorded.path, "--every", 4)
    assert kept == of_type(coarse, "snapshot")


def test_a_replay_that_differs_is_shown_up_to_there(tmp_path: Path, told: Told, monkeypatch: Any) -> None:
    recorded = Recorded(tmp_path).end()
    encode, count = Decision.encode, 0

    def otherwise(self: Decision) -> bytes:
        nonlocal count
        count += 1
        return encode(replace(self, now_ns=self.now_ns + 1) if count == 200 else self)

    monkeypatch.setattr(Decision, "encode", otherwise)
    code, lines, _ = told(recorded.path, "--every", 0.001)
    at_ns = recorded.bot.decisions[199].now_ns
    assert code == 1 and lines[-1]["differs"].startswith(f"different at decision 200 ({at_ns} ns): ")
    shown = of_type(lines, "snapshot")
    assert 20 < len(shown) == lines[-1]["snapshots"]
    assert shown[-1]["time_ns"] < at_ns, "what came out otherwise is not shown"


def test_a_torn_end_is_no_error(tmp_path: Path, told: Told) -> None:
    recorded = Recorded(tmp_path).end()
    whole = recorded.path.read_bytes()
    recorded.path.write_bytes(whole[:-5])
    code, lines, err = told(recorded.path)
    assert (code, err, lines[-1]["differs"], lines[-1]["clean_stop"]) == (0, "", None, False)
    assert lines[-1]["truncated_at"] is not None and len(of_type(lines, "snapshot")) > 20


@pytest.mark.parametrize("kind", ["missing", "foreign", "damaged", "empty folder"])
def test_what_cannot_be_read_is_one_line_and_exit_2(kind: str, tmp_path: Path, told: Told) -> None:
    path = tmp_path / "run1.journal"
    if kind == "foreign":
        path.write_bytes(b"no journal at all")
    if kind == "damaged":
        path = Recorded(tmp_path).end().path
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    if kind == "empty folder":
        path = tmp_path / "empty"
        path.mkdir()
    code, lines, err = told(path)
    assert code == 2 and err.count("\n") == 1 and str(path.name) in err
    assert of_type(lines, "end") == [] and (kind == "damaged" or lines == [])


@pytest.mark.parametrize("every", ["often", "0", "-1", "nan", "inf"])
def test_an_interval_that_is_none_is_refused(every: str, tmp_path: Path, told: Told) -> None:
    code, lines, err = told(tmp_path, "--every", every)
    assert (code, lines) == (2, []) and "must be auto or seconds" in err


def test_a_reader_that_goes_away_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        written = 0

        def write(self, text: str) -> int:
            self.written += 1
            if self.written > 20:
                raise BrokenPipeError
            return len(text)

        def fileno(self) -> int:
            return number

    recorded = Recorded(tmp_path).end()
    number = os.open(tmp_path / "out", os.O_CREAT | os.O_WRONLY)
    out = Gone()
    monkeypatch.setattr(sys, "stdout", out)
    try:
        assert main(["snapshots", str(recorded.path)]) == 0
    finally:
        os.close(number)
    assert out.written == 21


def test_its_snapshots_are_plain_json(tmp_path: Path, told: Told) -> None:
    _, lines, _ = told(Recorded(tmp_path).end().path, "--every", 1)
    assert all(without_nan(line) == line for line in lines)


def test_how_far_it_has_come_is_told_a_few_times_a_second(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Recorded(tmp_path, seconds=100, strategy={"name": "constant", "base_leverage": 3}).end().path
    now_s = 1_000.0

    def tick() -> float:
        nonlocal now_s
        now_s += 0.15  # a thousand records take no longer
        return now_s

    monkeypatch.setattr(time, "monotonic", tick)
    _, lines, _ = told(path, "--every", 1e6)
    found = [line["read_frac"] for line in of_type(lines, "progress")]
    with open_run(path) as reader:
        records = sum(1 for _ in reader)
    assert found == sorted(found) and 0 < found[0] < found[-1] <= 1
    assert len(found) == (records // 1000 + 1) // 2 >= 2, "every second one is told, as they come too quickly"
