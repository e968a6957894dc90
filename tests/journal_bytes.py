"""A journal's bytes as they were written, whether its file has been compressed since or not."""

from pathlib import Path

from bot.journal.packing import PackedFile


def journal_bytes(path: Path) -> bytes:
    if not path.name.endswith(".zst"):
        return path.read_bytes()
    with PackedFile(path) as file:
        return b"".join(iter(lambda: file.read(1 << 20), b""))
