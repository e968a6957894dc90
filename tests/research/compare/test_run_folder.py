"""The folder of a backtest: what counts as done, what is refused, and what is not overwritten."""

from pathlib import Path

import numpy as np
import pytest

from bot.research.backtest.record import FILL, clock_dtype
from bot.research.backtest.result import Result
from bot.research.compare.kept_runs import INPUTS, FolderUnusable, RunFolder, file_facts
from bot.sim.recording import SHAPE_FILE


def result(digest: str) -> Result:
    rows, fills = np.zeros(3, clock_dtype(1)), np.zeros(0, FILL)
    return Result("run", ("EURUSD",), {}, (), 1.0, rows, fills, {}, {"inputs": digest})


def used(path: Path, *, force: bool = False, **inputs: object) -> RunFolder:
    folder = RunFolder(path, {"config": "a", "seed": 1} | inputs, force=force)
    with folder.locked():
        pass
    return folder


def test_a_run_counts_only_if_its_file_is_whole_and_made_from_the_same(tmp_path: Path) -> None:
    folder = used(tmp_path / "out")
    assert not folder.has("run", "d")
    result("d").save(folder.path_of("run"))
    assert folder.has("run", "d")
    assert not folder.has("run", "e")
    whole = folder.path_of("run").read_bytes()
    for cut in (0, 10, len(whole) // 2):
        folder.path_of("run").write_bytes(whole[:cut])
        assert not folder.has("run", "d")


def test_a_folder_of_other_inputs_is_refused_by_what_differs_until_it_is_forced(tmp_path: Path) -> None:
    first = used(tmp_path / "out")
    result("d").save(first.path_of("run"))
    assert used(tmp_path / "out").digest == first.digest
    with pytest.raises(FolderUnusable, match=r"runs of other inputs \(config, seed\): take another --out, or --force"):
        used(tmp_path / "out", config="b", seed=2)
    assert first.has("run", "d")
    forced = used(tmp_path / "out", config="b", force=True)
    assert forced.digest != first.digest
    with pytest.raises(FolderUnusable, match=r"\(config\)"):
        used(tmp_path / "out")


def test_a_folder_of_something_else_or_with_damaged_inputs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FolderUnusable, match=r"holds something else \(notes.txt\)"):
        used(tmp_path)
    used(tmp_path, force=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    (tmp_path / INPUTS).write_text("{")
    with pytest.raises(FolderUnusable, match="is damaged"):
        used(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderUnusable, match="cannot be written to"):
        used(tmp_path / "file")


def test_two_backtests_do_not_share_a_folder_and_leavings_of_a_killed_one_are_cleared(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "out", {})
    with folder.locked(), pytest.raises(FolderUnusable, match="another backtest is writing"):
        used(tmp_path / "out", force=True)
    (folder.path / "run.99.part").write_text("half")
    used(tmp_path / "out", force=True)
    assert not list(folder.path.glob("*.part"))


def test_inputs_tell_a_changed_file_and_every_file_of_a_folder(tmp_path: Path) -> None:
    day = tmp_path / "EURUSD" / "EURUSD_2026-01-05.parquet"
    day.parent.mkdir()
    day.write_bytes(b"one")
    before = file_facts([str(day.parent), "synthetic:calm"])
    assert ["synthetic:calm"] in before
    day.write_bytes(b"two!")
    changed = file_facts([str(day.parent), "synthetic:calm"])
    (day.parent / "EURUSD_2026-01-06.parquet").write_bytes(b"")
    assert before != changed != file_facts([str(day.parent), "synthetic:calm"])
    assert file_facts([str(day.parent.parent)]) != file_facts([str(day.parent)]), (
        "the folder of symbols above is as good"
    )
    assert len(file_facts([str(day.parent.parent)])) == 3


@pytest.mark.parametrize("named", ["", "run.0002.journal.zst", "run.0003.journal"])
def test_every_segment_of_a_recorded_run_is_part_of_what_a_run_is_made_from(named: str, tmp_path: Path) -> None:
    for name in ("run.0001.journal.zst", "run.0002.journal.zst", "run.0003.journal"):
        (tmp_path / name).write_bytes(b"one")
    before = file_facts([str(tmp_path / named)])
    assert len(before) == 4
    (tmp_path / "run.0003.journal").write_bytes(b"one more")
    grown = file_facts([str(tmp_path / named)])
    (tmp_path / "run.0001.journal.zst").unlink()
    assert before != grown != file_facts([str(tmp_path / named)])


def test_the_shape_that_is_put_behind_ticks_is_part_of_what_a_run_is_made_from(tmp_path: Path) -> None:
    ticks = tmp_path / "fx_EURUSD.parquet"
    ticks.write_bytes(b"ticks")
    before = file_facts([str(ticks)])
    (tmp_path / SHAPE_FILE).write_bytes(b"shape")
    assert file_facts([str(ticks)]) != before


def test_files_of_a_linked_folder_are_seen(tmp_path: Path) -> None:
    there, top = tmp_path / "there", tmp_path / "top"
    there.mkdir()
    top.mkdir()
    (there / "EURUSD_2026-01-05.parquet").write_bytes(b"one")
    (top / "EURUSD").symlink_to(there)
    before = file_facts([str(top)])
    (there / "EURUSD_2026-01-05.parquet").write_bytes(b"two!")
    assert len(before) == 2
    assert file_facts([str(top)]) != before


def test_only_what_a_backtest_has_left_unfinished_is_removed(tmp_path: Path) -> None:
    (tmp_path / "film.part").write_bytes(b"a download of somebody's")
    (tmp_path / "run.123.part").write_bytes(b"ours")
    used(tmp_path, force=True)
    assert (tmp_path / "film.part").exists()
    assert not (tmp_path / "run.123.part").exists()
