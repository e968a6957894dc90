"""Compressed segments: made whole or not at all, read to their announced length or not at all."""

from pathlib import Path

import pytest
import zstandard

from bot.journal.format import JournalError
from bot.journal.packing import PackedFile, holds_the_same, pack

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "r.0001.journal"
    path.write_bytes(CONTENT)
    return path


def read_all(path: Path) -> bytes:
    with PackedFile(path) as file:
        return b"".join(iter(lambda: file.read(999), b""))


def error_of(path: Path) -> str:
    with pytest.raises(JournalError) as caught:
        read_all(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 5000, len(CONTENT)])
def test_so_many_bytes_come_back_and_the_plain_file_stays(length: int, plain: Path, tmp_path: Path) -> None:
    packed = tmp_path / "r.0001.journal.zst"
    assert pack(plain, packed, length) == packed.stat().st_size
    assert packed.stat().st_mode & 0o777 == 0o600 and plain.read_bytes() == CONTENT
    assert read_all(packed) == CONTENT[:length]
    with PackedFile(packed) as file:
        assert file.length == length
    assert holds_the_same(packed, plain, length)
    assert not holds_the_same(packed, plain, length + 1)
    assert length == 0 or not holds_the_same(packed, plain, length - 1)


def test_a_file_that_is_shorter_than_it_should_be_is_not_packed(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=f"it has {len(CONTENT)} bytes, not {len(CONTENT) + 1}"):
        pack(plain, tmp_path / "r.0001.journal.zst", len(CONTENT) + 1)
    assert not (tmp_path / "r.0001.journal.zst").exists()


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.journal.zst"
    path.write_bytes(b"")
    assert "is no compressed journal" in error_of(path)
    path.write_bytes(zstandard.ZstdCompressor(write_content_size=False).compress(CONTENT))
    assert "does not say how long it is" in error_of(path)
    one = zstandard.ZstdCompressor().compress(CONTENT)
    path.write_bytes(one + one)
    assert f"holds more than the {len(CONTENT)} bytes" in error_of(path)
    path.write_bytes(one[: len(one) // 2])
    assert f"of the {len(CONTENT)} bytes of its segment" in error_of(path)
    assert not holds_the_same(path, path, 1)
