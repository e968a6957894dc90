"""A run is recorded in segments: cut where they should be, put away, killed at any step and sealed by the next."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from journal_bytes import journal_bytes
from recorded_stream import HEADER, LIMITS, SECOND, names, plain, play, read, recorded, steps

from bot.journal.format import JournalError, NothingRecorded, RecordKind, SecretInJournal
from bot.journal.recording import Recording, RecordingLimits
from bot.journal.recording_index import compared, index_path, read_index, recorded_runs
from bot.journal.run_lock import RunInUse, is_recorded_now
from bot.journal.run_reader import RunReader
from bot.journal.sealing import seal_left
from bot.journal.segments import runs_in

TWO_KILLS = pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Syncing costs milliseconds and changes nothing that these tests see."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


pytestmark = pytest.mark.usefixtures("quick")


# -- where it is cut -------------------------------------------------------------------------------------------------


def test_a_segment_ends_behind_a_decision_when_it_is_large_enough(tmp_path: Path) -> None:
    recorded(tmp_path)
    segments = runs_in(tmp_path)["run1"]
    assert len(segments) > 5
    for segment in segments:
        with RunReader([segment]) as reader:
            kinds = [record.kind for record in reader]
        assert kinds[0] is not RecordKind.DECISION
        assert kinds[-1] is (RecordKind.END if segment is segments[-1] else RecordKind.DECISION)
    sizes = [line.journal_bytes for line in read_index(index_path(tmp_path, "run1")).values()]
    assert all(2_000 <= size < 2_800 for size in sizes)


def test_a_segment_ends_when_it_is_old_enough(tmp_path: Path) -> None:
    recorded(tmp_path, limits=RecordingLimits(1_000_000, 20 * SECOND)).put_away()
    lines = [*read_index(index_path(tmp_path, "run1")).values()]
    spans = [(line.to_ns or 0) - (line.from_ns or 0) for line in lines]
    assert len(lines) == 4 and all(20 * SECOND <= span < 21.1 * SECOND for span in spans[:-1])
    assert [line.from_ns for line in lines[1:]] == [line.to_ns for line in lines[:-1]]


def test_the_run_goes_on_while_its_segment_is_synced_and_compressed(tmp_path: Path) -> None:
    jobs: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []
    recording = Recording(tmp_path, "run1", HEADER, limits=LIMITS, beside=lambda *job: jobs.append(job))
    play(recording, steps(1, 60), close=False)
    assert [segment.number for segment in runs_in(tmp_path)["run1"]] == [1] and len(jobs) == 1
    job, done = jobs.pop()
    done(job())
    recording.timer(1)
    recording.decision(1, b"next")
    assert [segment.path.suffix for segment in runs_in(tmp_path)["run1"]] == [".journal", ".journal"]
    assert len(jobs) == 1  # compression waits for its turn
    assert len(read(tmp_path)) == 124
    job, done = jobs.pop()
    done(job())
    assert [segment.path.suffix for segment in runs_in(tmp_path)["run1"]] == [".zst", ".journal"]


def test_a_sync_that_fails_ends_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording(tmp_path, "run1", HEADER, limits=LIMITS)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JournalError, match=r"cannot sync the journal .*run1.0001.journal: No space left on device"):
        play(recording, steps(1, 60))
    monkeypatch.undo()
    recording.put_away()
    assert len(read(tmp_path)) > 20


def test_a_segment_that_cannot_be_compressed_stays_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(os, "replace", _full)
    recorded(tmp_path, tell=told.append).put_away()
    monkeypatch.undo()
    assert "could not be compressed and stays as it is: No space left on device" in told[0]
    assert not [name for name in names(tmp_path) if name.endswith(".part")]
    assert len(read(tmp_path)) == 303
    told = seal_left(tmp_path)
    assert told == []  # it is not what a kill has left
    assert {segment.is_packed for segment in runs_in(tmp_path)["run1"]} == {True}
    assert len(read(tmp_path)) == 303


def _full(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def test_a_folder_that_is_gone_is_told_and_no_error(tmp_path: Path) -> None:
    told: list[str] = []
    for close in (True, False):
        folder = tmp_path / str(close)
        folder.mkdir()
        recording = Recording(folder, "run1", HEADER, limits=RecordingLimits(), tell=told.append)
        play(recording, steps(1, 3), close=close)
        shutil.rmtree(folder)
        assert recording.put_away() in ({}, recording._lines)
    assert len(told) >= 2 and all("\n" not in text for text in told)


# -- kills -----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """In place of a SIGKILL: nothing handles it."""


class Killer:
    """Lets the process die at the n-th call that changes a file; the dead change nothing any more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, *, torn: bool) -> None:
        self.calls, self.at, self.torn = 0, at, torn
        self.is_dead = False
        for name in ("write", "open", "replace", "unlink", "fsync"):
            monkeypatch.setattr(os, name, self._guarded(name, getattr(os, name)))

    def _guarded(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if self.is_dead:
                raise Killed
            if self.calls == self.at:
                self.is_dead = True
                if name == "write" and self.torn:
                    real(given[0], bytes(given[1])[: len(given[1]) // 2])
                elif self.torn:
                    real(*given, **named)  # dies behind it instead of before it
                raise Killed
            self.calls += 1
            return real(*given, **named)

        return call


@TWO_KILLS
def test_a_kill_at_any_step_loses_nothing_that_was_flushed_and_the_next_start_seals_it(
    torn: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = plain(tmp_path / "whole.journal", 1, 22)
    at, deaths = 0, 0
    while True:
        folder = tmp_path / str(at)
        folder.mkdir()
        flushed = 0
        recording: Recording | None = None
        with monkeypatch.context() as patched:
            killer = Killer(patched, at, torn=torn)
            try:
                recording = Recording(folder, "run1", HEADER, limits=LIMITS)
                for number, step in enumerate(steps(1, 22), 1):
                    play(recording, iter([step]), close=False)
                    recording.flush()
                    flushed = number
                recording.close(expected[-1][1], {"decisions": 1})
                flushed += 1
                recording.put_away()
            except Killed:
                deaths += 1
        is_over = not killer.is_dead
        if recording is not None and recording._lock is not None:
            recording._lock._lock.release(force=True)  # as the system does
        for _ in range(2):
            try:
                found = read(folder)
            except JournalError as error:
                assert isinstance(error, NothingRecorded) or "holds no recording" in str(error), at
                assert flushed == 0, at
            else:
                assert found == expected[: len(found)] and len(found) >= flushed, at
            told = seal_left(folder)
            assert not any("stays" in text for text in told)
        assert not [name for name in names(folder) if name.endswith((".journal", ".part"))], at
        (lines,) = recorded_runs(folder).values() if flushed else [{}]
        assert sum(line.records for line in lines.values()) >= flushed
        if is_over:
            break
        at += 1
    assert deaths == at > 60


def test_a_run_that_was_killed_is_sealed_up_to_its_torn_record_and_the_gap_is_in_the_index(tmp_path: Path) -> None:
    dead = Recording(tmp_path, "run1", HEADER, limits=LIMITS)
    play(dead, steps(1, 30), close=False)
    dead.flush()
    path = runs_in(tmp_path)["run1"][-1].path
    with path.open("ab") as file:
        file.write(b"\x20\0\0\0\x03half a record")
    assert seal_left(tmp_path) == []  # its lock is held: it may live
    assert dead._lock is not None
    dead._lock._lock.release(force=True)
    (told,) = seal_left(tmp_path)
    assert told.startswith(f"{path.name}.zst is what a run that was killed has left: ")
    assert "cut off at byte" in told
    assert len(read(tmp_path)) == 62
    with RunReader([runs_in(tmp_path)["run1"][-1]]) as reader:
        assert [*reader] and reader.truncated_at is None
    recorded(tmp_path, seed=2, count=30).put_away()
    runs = recorded_runs(tmp_path)
    last, first = [*runs["run1"].values()][-1], runs["run2"][1]
    assert (last.end, last.torn_bytes, [*runs["run2"].values()][-1].end) == ("killed", 18, "clean")
    assert [(gap.reason, gap.from_ns, gap.to_ns) for gap in first.gaps][:1] == [("no run", last.to_ns, first.from_ns)]


def test_the_gap_before_a_run_that_was_killed_early_is_in_the_index(tmp_path: Path) -> None:
    recorded(tmp_path, 1, 10).put_away()
    dead = Recording(tmp_path, "run2", HEADER, limits=LIMITS)
    play(dead, steps(2, 3), close=False)
    dead.flush()
    assert dead._lock is not None
    dead._lock._lock.release(force=True)
    seal_left(tmp_path)
    gap = read_index(index_path(tmp_path, "run2"))[1].gaps[0]
    assert (gap.reason, gap.from_ns) == ("no run", read_index(index_path(tmp_path, "run1"))[1].to_ns)


def test_secrets_are_refused_in_every_segment_and_later_ones_too(tmp_path: Path) -> None:
    recording = Recording(tmp_path, "run1", HEADER, limits=LIMITS, secrets=[b"the-first-secret"])
    recording.add_secrets([b"the-second-secret"])
    play(recording, steps(1, 60), close=False)
    assert len(runs_in(tmp_path)["run1"]) > 1
    for secret in (b"the-first-secret", b"the-second-secret"):
        with pytest.raises(SecretInJournal):
            recording.input(1, b"[" + secret + b"]")
    recording.sync()
    recording.put_away()


def test_a_file_in_the_way_of_the_first_segment_is_an_error_and_the_lock_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "run1.0001.journal").write_text("mine")
    with pytest.raises(FileExistsError, match="is never overwritten"):
        Recording(tmp_path, "run1", HEADER, limits=LIMITS)
    assert names(tmp_path) == ["run1.0001.journal"]


def test_what_cannot_be_written_beside_the_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("bot.journal.recording.write_index", _full)
    monkeypatch.setattr("bot.journal.sealing.write_index", _full)
    dead = recorded(tmp_path, 1, 30, tell=told.append)
    dead._end = "killed"
    dead.put_away()
    assert told and all("No space left on device" in text and "\n" not in text for text in told)
    assert len(read(tmp_path)) == 63


def test_a_run_is_locked_while_it_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.journal.recording.LOOKING_S", 0)
    recording = Recording(tmp_path, "run1", HEADER, limits=LIMITS)
    with pytest.raises(RunInUse, match=r"^the recording run1 in .* is being written by another process$"):
        Recording(tmp_path, "run1", HEADER, limits=LIMITS)
    assert is_recorded_now(tmp_path, "run1")
    play(recording, steps(1, 10), close=False)
    recording.flush()
    assert recorded_runs(tmp_path)["run1"][1].end == "recording"
    recording.put_away()
    assert not is_recorded_now(tmp_path, "run1") and names(tmp_path) == ["run1.0001.journal.zst", "run1.index.jsonl"]
    with pytest.raises(JournalError):
        recording.timer(1)


# -- the index -------------------------------------------------------------------------------------------------------


def test_an_index_is_made_anew_from_the_files_as_it_was(tmp_path: Path) -> None:
    recorded(tmp_path).put_away()
    path = index_path(tmp_path, "run1")
    written = path.read_text()
    first = read_index(path)[1]
    reasons = {gap.reason for line in read_index(path).values() for gap in line.gaps}
    assert reasons == {"starting", "disconnected"} and first.gaps[0].reason == "starting"
    for spoilt in (None, "", "nonsense\n", written[: len(written) // 2], written.replace('"frames":', '"frames":1')):
        if spoilt is None:
            path.unlink()
        else:
            path.write_text(spoilt)
        if spoilt is not None and '"frames":1' in spoilt:
            path.write_text(spoilt.replace('"file_bytes":', '"file_bytes":1'))  # a line that fits is believed
        assert [*recorded_runs(tmp_path)] == ["run1"]
        assert path.read_text() == written


def test_a_gap_between_runs_is_found_again_whatever_came_later(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        recorded(tmp_path, seed, 20).put_away()
    path = index_path(tmp_path, "run2")
    written = path.read_text()
    assert '"reason":"no run"' in written
    path.unlink()
    recorded_runs(tmp_path)
    assert path.read_text() == written


def test_what_is_gone_is_missing_and_what_is_foreign_is_told(tmp_path: Path) -> None:
    recorded(tmp_path).put_away()
    (tmp_path / "run1.0003.journal.zst").unlink()
    (tmp_path / "words.journal").write_text("these are words")
    (tmp_path / "words.0001.journal.zst").write_text("these are words")
    runs = recorded_runs(tmp_path)
    assert [line.segment for line in runs["run1"].values() if line.state == "missing"] == [3]
    words = runs["words"][1]
    assert words.records == 0 and str(words.damage).startswith(f"{tmp_path}/words.0001.journal.zst is no compressed")


@pytest.mark.parametrize("kind", ["the same", "cut", "another"])
def test_a_plain_segment_beside_a_compressed_one_goes_only_when_the_two_are_the_same(kind: str, tmp_path: Path) -> None:
    recorded(tmp_path, count=60).put_away()
    packed = [segment.path for segment in runs_in(tmp_path)["run1"]]
    content, expected = packed[1].read_bytes(), read(tmp_path)
    packed[1].with_suffix("").write_bytes(journal_bytes(packed[1]))
    if kind != "the same":
        packed[1].write_bytes(content[:-300] if kind == "cut" else packed[2].read_bytes())
    assert seal_left(tmp_path) == []
    assert packed[1].read_bytes() == content and not packed[1].with_suffix("").exists()
    assert read(tmp_path) == expected


def test_a_damaged_plain_segment_is_left_as_it_is(tmp_path: Path) -> None:
    dead = Recording(tmp_path, "run1", HEADER, limits=RecordingLimits())
    play(dead, steps(1, 30), close=False)
    dead.flush()
    assert dead._lock is not None
    dead._lock._lock.release(force=True)
    content = bytearray(dead.path.read_bytes())
    content[1500] ^= 1
    dead.path.write_bytes(content)
    (told,) = seal_left(tmp_path)
    assert "is corrupt at byte" in told and told.endswith("the file stays as it is")
    assert dead.path.read_bytes() == content
    line = recorded_runs(tmp_path)["run1"][1]
    assert line.damage is not None and 0 < line.records < 62


# -- the disk budget -------------------------------------------------------------------------------------------------


def test_over_budget_the_oldest_segments_of_finished_runs_go_first_then_our_own(tmp_path: Path) -> None:
    told: list[str] = []
    recorded(tmp_path, 1, 60).put_away()
    recorded(tmp_path, 2, 60).put_away()
    (tmp_path / "old.journal").write_bytes(b"x" * 5000)
    size = sum(path.stat().st_size for path in tmp_path.glob("*.zst"))
    first = (tmp_path / "run1.0001.journal.zst").stat().st_size
    limits = RecordingLimits(2_000, LIMITS.segment_ns, size + 2_000 - first)
    recording = Recording(tmp_path, "run3", HEADER, limits=limits, tell=told.append)
    assert [text.split(",")[0] for text in told] == ["removed run1.0001.journal.zst"]
    play(recording, steps(3, 60))
    assert ": the recordings are over recording.max_disk_gb" in told[0]
    runs = recorded_runs(tmp_path)
    removed = [text.split()[1].removesuffix(",") for text in told]
    assert removed == sorted(removed) and {line.state for line in runs["run3"].values()} == {"kept"}
    play_on = RecordingLimits(2_000, LIMITS.segment_ns, 4_500)
    recording.put_away()
    last = Recording(tmp_path, "run4", HEADER, limits=play_on, tell=told.append)
    play(last, steps(4, 80))
    last.put_away()
    runs = recorded_runs(tmp_path)
    assert {line.state for run in ("run1", "run2", "run3") for line in runs[run].values()} == {"removed"}
    states = [line.state for line in runs["run4"].values()]
    assert states[0] == "removed" and states[-1] == "kept" and states == sorted(states, reverse=True)
    assert sum(path.stat().st_size for path in tmp_path.glob("*.zst")) <= 2_500
    assert (tmp_path / "old.journal").exists()
    assert len(told) == len(set(told)) == sum(line.state == "removed" for run in runs.values() for line in run.values())
    lines = compared(tmp_path, read_index(index_path(tmp_path, "run4")), runs_in(tmp_path)["run4"])
    assert lines == runs["run4"]


def test_what_another_process_records_and_what_is_no_journal_are_not_removed(tmp_path: Path) -> None:
    other = recorded(tmp_path, 1, 60)
    (tmp_path / "foreign.0001.journal.zst").write_bytes(bytes(5_000))
    before = names(tmp_path)
    recording = Recording(tmp_path, "run2", HEADER, limits=RecordingLimits(2_000, LIMITS.segment_ns, 4_000))
    play(recording, steps(2, 60), close=False)
    assert set(before) <= set(names(tmp_path))
    assert [segment.number for segment in runs_in(tmp_path)["run2"]][-1] > 2
    other.put_away()
