"""A run of several files reads as one; what is cut, missing, renamed or damaged is told by its name."""

import random
import shutil
from pathlib import Path

import pytest
from recorded_stream import HEADER, LIMITS, names, plain, play, read, recorded, steps

from bot.journal.format import JournalError
from bot.journal.packing import PackedFile
from bot.journal.recording import Recording
from bot.journal.run_reader import open_run
from bot.journal.segments import runs_in
from bot.journal.writer import JournalWriter


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, int, bytes]]:
    return plain(tmp_path_factory.mktemp("whole") / "a.journal", 1, 150)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "rec"
    recorded(folder).put_away()
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "rec")


def unpack(path: Path) -> Path:
    """Put the plain file in a compressed one's place."""
    with PackedFile(path) as file:
        content = file.read(1 << 20)
    path.unlink()
    path.with_suffix("").write_bytes(content)
    return path.with_suffix("")


def error_of(path: Path) -> str:
    with pytest.raises(JournalError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_chain_is_the_stream_that_one_file_would_hold(folder: Path, whole: list[tuple[int, int, bytes]]) -> None:
    files = [name for name in names(folder) if ".journal" in name]
    assert len(files) > 5 and all(name.endswith(".journal.zst") for name in files)
    assert read(folder) == whole
    for name in (files[0], files[3], files[-1]):
        assert read(folder / name) == read(folder / name.removesuffix(".zst")) == whole
    with open_run(folder) as reader:
        assert (reader.header["segment"], reader.first_segment, reader.standing) == (1, 1, None)
        assert sum(1 for _ in reader) == len(whole)
        assert (reader.ended_cleanly, reader.truncated_at) == (True, None)


def test_plain_and_compressed_segments_mix(folder: Path, whole: list[tuple[int, int, bytes]]) -> None:
    for path in sorted(folder.glob("*.zst"))[::2]:
        unpack(path)
    assert read(folder) == whole


@pytest.mark.parametrize("seed", range(6))
def test_a_cut_anywhere_is_a_shorter_run_in_the_last_file_and_an_error_by_name_in_any_other(
    seed: int, folder: Path, whole: list[tuple[int, int, bytes]]
) -> None:
    chance = random.Random(seed)
    files = sorted(folder.glob("*.zst"))
    at = len(files) - 1 if seed % 2 else chance.randrange(len(files) - 1)
    path = unpack(files[at])
    content = path.read_bytes()
    for cut in {0, 5, 30, len(content) - 1, *(chance.randrange(len(content)) for _ in range(25))}:
        path.write_bytes(content[:cut])
        if seed % 2:
            found = read(folder)
            assert found == whole[: len(found)] and len(found) < len(whole)
        elif at or cut > 300:  # the first without its header is no run at all
            assert path.name in error_of(folder)


@pytest.mark.parametrize("seed", range(4))
def test_a_compressed_segment_that_is_cut_or_damaged_is_told_by_name(seed: int, folder: Path) -> None:
    chance = random.Random(seed)
    files = sorted(folder.glob("*.zst"))
    path = files[-1] if seed == 0 else chance.choice(files)
    content = path.read_bytes()
    for cut in {0, 3, len(content) - 5, *(chance.randrange(len(content) - 4) for _ in range(20))}:
        path.write_bytes(content[:cut])
        assert path.name in error_of(folder)
    for _ in range(20):
        at, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
        path.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
        if at > 4:  # a changed length or flag is told as well; a changed magic number is another kind of frame
            assert path.name in error_of(folder)
    path.write_bytes(content + b"more")
    assert path.name in error_of(folder)


def test_a_last_file_of_zeros_is_one_that_was_never_begun(folder: Path, whole: list[tuple[int, int, bytes]]) -> None:
    path = unpack(sorted(folder.glob("*.zst"))[-1])
    path.write_bytes(bytes(5_000))
    found = read(folder)
    assert found == whole[: len(found)] and len(found) > 200


def test_every_record_edge_of_an_earlier_segment_is_too_early_an_end(folder: Path) -> None:
    path = unpack(sorted(folder.glob("*.zst"))[1])
    content = path.read_bytes()
    tail = len(content) - len(b'{"segment_closed":2}') - 17
    path.write_bytes(content[:tail])
    assert error_of(folder).endswith("ends before it was closed, yet segment 3 follows: what was between is lost")


def test_a_missing_segment_is_named(folder: Path) -> None:
    files = sorted(folder.glob("*.zst"))
    files[2].unlink()
    assert error_of(folder).startswith("segment 3 is missing of the run run1")
    files[3].unlink()
    assert error_of(files[0]).startswith("segments 3 to 4 are missing of the run run1")
    assert "cannot read" in error_of(files[3])


def test_a_renamed_segment_is_told(folder: Path) -> None:
    files = sorted(folder.glob("*.zst"))
    content = files[1].read_bytes()
    files[1].write_bytes(files[2].read_bytes())
    assert "holds segment 3 of the run run1, not segment 2 of run1" in error_of(folder)
    files[1].write_bytes(content)
    files[1].rename(folder / "other.0002.journal.zst")
    assert "holds segment 2 of the run run1, not segment 2 of other" in error_of(folder / "other.0002.journal.zst")


def test_a_recording_without_its_beginning_says_how_the_market_stood(
    folder: Path, whole: list[tuple[int, int, bytes]]
) -> None:
    sorted(folder.glob("*.zst"))[0].unlink()
    with open_run(folder) as reader:
        assert reader.standing is not None
        ns, standing = reader.standing
        found = [tuple(record) for record in reader]
    assert reader.first_segment == 2 and found == whole[-len(found) :]
    assert standing["segment_opened"] == 2 and ns <= found[0][1]


def test_a_folder_names_its_runs_when_there_are_several_or_none(folder: Path, tmp_path: Path) -> None:
    recorded(folder, 2, 10).put_away()
    JournalWriter(folder / "old.journal", HEADER).close(1, {})
    line = error_of(folder)
    assert "holds 3 runs (old, run1, run2)" in line
    assert [*runs_in(folder)] == ["old", "run1", "run2"]
    assert read(folder / "old.journal") == [(8, 1, b"{}")]
    (tmp_path / "empty").mkdir()
    assert "holds no recording" in error_of(tmp_path / "empty")


def test_a_run_is_read_while_it_is_written(tmp_path: Path, whole: list[tuple[int, int, bytes]]) -> None:
    recording = Recording(tmp_path, "run1", HEADER, limits=LIMITS)
    play(recording, steps(1, 100), close=False)
    recording.flush()
    found = read(tmp_path)
    assert found == whole[: len(found)] and len(found) == 202
