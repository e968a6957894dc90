"""`microlev recordings`: the table, the JSON lines, and what it says of a folder without recordings."""

import json
import os
from pathlib import Path

import pytest

from bot.cli.main import main
from bot.cli.recordings import tell_recording
from bot.journal.recording import Recording, RecordingLimits
from bot.journal.recording_index import recorded_runs

HEADER = {
    "software": "microlev",
    "symbols": ["EURUSD", "USDJPY"],
    "config": {"account": {"id": 7}, "venue": {"environment": "demo"}},
}
HOUR = 3_600_000_000_000
START = 1_700_000_000_000_000_000
READY = b'{"state":{"ready":true,"reasons":[]}}'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setenv("COLUMNS", "80")
    for number in (1, 2):
        recording = Recording(tmp_path, f"run{number}", HEADER, limits=RecordingLimits(segment_ns=HOUR))
        for quarter in range(6):
            ns = START + number * 10 * HOUR + quarter * HOUR // 4
            recording.batch(ns, [b"frame"])
            recording.decision(ns, READY)
        recording.close(ns, {})
        recording.put_away()
    return tmp_path


def test_the_table_has_a_row_a_run_and_a_word_about_what_is_missing(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    (folder / "run1.0001.journal.zst").unlink()
    assert main(["recordings", str(folder)]) == 0
    out = capsys.readouterr().out
    rows = [line for line in out.splitlines() if line.startswith("run")]
    assert rows[1].split()[:5] == ["run1", "2023-11-15", "09:13", "0.25", "EURUSD+1"]
    assert rows[2].split()[:4] == ["run2", "2023-11-15", "18:13", "1.25"]
    assert rows[2].split()[4:] == ["EURUSD+1", "2", "0.001", "clean", "1"]
    assert max(map(len, out.splitlines())) <= 80
    assert rows[3] == "run1: segment(s) 1 missing"


def test_json_has_a_line_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recordings", str(folder), "--json"]) == 0
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [line["run_id"] for line in lines] == ["run1", "run2"]
    first, second = lines
    assert (first["type"], first["segments"], first["frames"], first["seconds"]) == ("recording", 2, 6, 4500.0)
    assert (first["breaks"], second["breaks"], second["break_s"]) == (0, 1, 31500.0)
    assert second["gaps"][0]["reason"] == "no run" and second["gaps"][0]["from"] == first["to"]
    assert second["bytes"] == sum(path.stat().st_size for path in folder.glob("run2*.zst"))


def test_the_last_line_of_record_says_what_was_recorded(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = recorded_runs(folder)["run2"]
    tell_recording(lines, json=False)
    tell_recording({}, json=False)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("recorded  run run2: 2 segment(s), 13 records, 6 frames, 2023-11-15T18:13:20.000Z to ")
    assert line.endswith(" MB, gaps: 1 (31500 s)") and " -> " in line
    tell_recording(lines, json=True)
    assert json.loads(capsys.readouterr().out)["files"] == ["run2.0001.journal.zst", "run2.0002.journal.zst"]


def test_a_folder_without_recordings_or_none_at_all_is_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recordings", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path} holds no recording\n"
    assert main(["recordings", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"cannot read the folder {tmp_path / 'none'}: No such file or directory\n"
