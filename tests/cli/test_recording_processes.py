"""Recorders as processes: killed in the middle of it again and again, and two of them in one folder."""

import json
import signal
from pathlib import Path

import pytest
from test_control_processes import Sim, microlev
from test_processes import config, end, sim, start, until

from bot.journal.segments import runs_in

pytestmark = pytest.mark.slow

__all__ = ["sim"]


def test_recorders_that_are_killed_leave_runs_that_replay_and_the_next_one_seals_them(sim: Sim, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    path = config(sim[1], tmp_path, recording={"segment_mb": 0.01})
    beside = start("record", path, "--out", folder, "--json", folder=tmp_path)
    until(beside, type="state", ready=True)
    (living,) = runs_in(folder)
    for number in range(2):
        process = start("record", path, "--out", folder, "--json", folder=tmp_path)
        until(process, type="state", ready=True)
        for _ in range(5 * number):
            until(process, type="decision")
        process.kill()
        end(process)
    assert microlev("record", path, "--out", folder, "--seconds", "2", folder=tmp_path).splitlines()[-1].startswith(
        "recorded  run "
    )  # fmt: skip
    lines = [json.loads(text) for text in microlev("recordings", folder, "--json", folder=tmp_path).splitlines()]
    ends = {line["run_id"]: line["end"] for line in lines}
    assert sorted(ends.values()) == ["clean", "killed", "killed", "recording"]
    assert ends[living] == "recording"
    beside.send_signal(signal.SIGTERM)
    end(beside, 20)
    assert all(segment.is_packed for run in runs_in(folder).values() for segment in run)
    assert not [*folder.glob("*.lock"), *folder.glob("*.part")]
    assert len(runs_in(folder)[living]) > 3
    for run in runs_in(folder).values():
        assert microlev("replay", run[0].path, "--verify", folder=tmp_path).startswith("equal: ")
