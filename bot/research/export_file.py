"""A table on its way into a Parquet file, row group by row group, under another name until it is whole.

Memory holds one row group. A run that is killed leaves the file of the temporary name and nothing under the real one.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


class ExportError(Exception):
    """An export cannot be made; the message says which file and why, in one line."""


def check_free(path: Path, *, force: bool) -> None:
    """Raises: ExportError when a file is in the way, or the folder is not there."""
    if not path.parent.is_dir():
        raise ExportError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise ExportError(f"{path} is a folder, not a file to write")
    if path.exists() and not force:
        raise ExportError(f"{path} exists; --force replaces it")


class TableFile:
    """One Parquet file. `close` makes it whole, `publish` gives it its name, `abandon` takes it away.

    Raises: ExportError from every method when the disk does not take it.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, force: bool) -> None:
        check_free(path, force=force)
        self.path, self.schema, self.rows = path, schema, 0
        self._force = force
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            # As private as the journal: it tells of the same account.
            descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise ExportError(f"{path} cannot be written: {error.strerror}") from None
        self._file = os.fdopen(descriptor, "wb")
        self._writer = pq.ParquetWriter(self._file, schema, compression="zstd", write_page_checksum=True)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows as one row group."""
        self._try(lambda: self._writer.write_batch(batch, row_group_size=max(1, batch.num_rows)))
        self.rows += batch.num_rows

    def close(self, facts: Mapping[str, str]) -> None:
        """Write the end of the file; `facts` join its metadata."""

        def finish() -> None:
            self._writer.add_key_value_metadata(dict(facts))
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

        self._try(finish)

    def publish(self) -> None:
        """Give the whole file its name."""
        check_free(self.path, force=self._force)
        self._try(lambda: os.replace(self._temporary, self.path))

    def abandon(self) -> None:
        """Take away what has been written; after `publish` there is nothing."""
        try:
            if not self._file.closed:
                self._writer.close()
                self._file.close()
            self._temporary.unlink(missing_ok=True)
        except (OSError, pa.ArrowException):
            pass  # of a disk that is full or gone: what stopped the export has been told

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:  # pyarrow's own of files derive from it
            text = error.strerror or str(error).splitlines()[0]
            raise ExportError(f"{self.path} cannot be written: {text}") from None
