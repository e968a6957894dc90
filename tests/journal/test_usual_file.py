"""What is usual at each time of day outlives a run; a file that is not ours is put aside and never overwritten."""

import json
from pathlib import Path

import numpy as np
import pytest

from bot.engine.decision import Decision
from bot.engine.rows import NO_ROWS
from bot.journal.usual_file import UsualKeeper, path_to_read, read_usual, usual_path, write_usual

HOUR_NS = 3_600_000_000_000
CONTENTS = {"EURUSD": {"overall": [1.0, None]}}


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    write_usual(tmp_path / "usual.json", CONTENTS)
    assert read_usual(tmp_path / "usual.json") == (CONTENTS, None)
    assert [path.name for path in tmp_path.iterdir()] == ["usual.json"], "nothing half-written is left"


def test_a_first_run_knows_nothing_and_says_nothing(tmp_path: Path) -> None:
    assert read_usual(tmp_path / "usual.json") == ({}, None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"kind": "recipes", "version": 1, "symbols": {}}',
        b'{"kind": "microlev usual values", "version": 2, "symbols": {}}',
        b'{"kind": "microlev usual values", "version": 1, "symbols": []}',
        b'{"kind": "microlev usual values", "version": 1, "symbols": {"EURUSD": 3}}',
    ],
)
def test_a_file_that_is_no_such_file_is_kept_aside_and_told_of_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "usual.json"
    path.write_bytes(content)
    found, told = read_usual(path)
    assert found == {}
    assert told is not None and str(path) in told and "\n" not in told
    assert (tmp_path / "usual.unreadable").read_bytes() == content
    assert not path.exists()


def _seen(keeper: UsualKeeper, ns: int) -> None:
    keeper(Decision(ns, NO_ROWS))


def test_the_keeper_writes_once_an_hour_and_when_it_is_told_to(tmp_path: Path) -> None:
    path, said = tmp_path / "usual.json", []
    keeper = UsualKeeper(path, lambda: CONTENTS, said.append)
    for ns in (0, HOUR_NS - 1):
        _seen(keeper, ns)
    assert not path.exists()
    _seen(keeper, HOUR_NS)
    assert json.loads(path.read_text())["symbols"] == CONTENTS
    path.unlink()
    _seen(keeper, HOUR_NS + 1)
    assert not path.exists()
    keeper.write()
    assert path.exists()
    assert said == []


def test_a_file_that_cannot_be_written_is_told_of_once_and_ends_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    keeper = UsualKeeper(tmp_path / "gone" / "usual.json", lambda: CONTENTS, said.append)
    keeper.write()
    keeper.write()
    assert len(said) == 1
    assert "cannot be kept" in said[0]


def test_a_run_that_knows_nothing_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "usual.json"
    write_usual(path, CONTENTS)
    UsualKeeper(path, dict, lambda text: None).write()
    assert read_usual(path)[0] == CONTENTS


def test_no_number_that_json_cannot_hold_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_usual(tmp_path / "usual.json", {"EURUSD": {"overall": [float(np.nan)]}})


def test_the_file_of_earlier_versions_is_read_until_the_account_has_its_own(tmp_path: Path) -> None:
    own, other, old = usual_path(tmp_path, 5), usual_path(tmp_path, 6), tmp_path / "usual.json"
    assert path_to_read(own) == own
    write_usual(old, CONTENTS)
    write_usual(own, {})
    assert (path_to_read(own), path_to_read(other)) == (own, old)
