"""Day files: one symbol's quotes of one UTC day, in the `fx_*` layout, and what their metadata says.

The columns are those of `fx_*` (`ts_us`, `bid`, `ask`); what they are is one JSON object under `microlev`. A file
without rows is a day on which there was no tick. What reads and writes them is elsewhere.
"""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta

METADATA_KEY = b"microlev"
DAY_MS = 86_400_000
_VERSION = 1


@dataclass(frozen=True, slots=True)
class DayFile:
    """What a day file holds: the quotes of a symbol from `from_ms` to `to_ms`, end exclusive.

    Units: ms since the epoch UTC.
    Missing: None for what the source does not say; `account_kind` is demo or live.
    """

    symbol: str
    digits: int | None
    account_kind: str | None
    from_ms: int
    to_ms: int
    row_count: int
    bid_count: int
    ask_count: int

    def metadata(self) -> dict[bytes, bytes]:
        """Return it as the metadata of a parquet schema: symbol and digits by themselves, and everything as JSON."""
        plain = {b"software": b"microlev", b"symbol": self.symbol.encode()}
        if self.digits is not None:
            plain[b"digits"] = str(self.digits).encode()
        return plain | {METADATA_KEY: json.dumps({"version": _VERSION, "source": "cTrader", **asdict(self)}).encode()}


def day_file_of(metadata: Mapping[bytes, bytes] | None) -> DayFile | None:
    """Return what the metadata of a parquet schema says; None when it is not that of a day file."""
    try:
        content = json.loads((metadata or {})[METADATA_KEY])
        return DayFile(**{name: content[name] for name in DayFile.__dataclass_fields__})
    except (KeyError, TypeError, ValueError):
        return None


def safe_name(symbol: str) -> str:
    """Return a symbol as a part of file names: EUR/USD is `EUR-USD`."""
    return re.sub(r"[^\w#+.&$ -]", "-", symbol).lstrip(".") or "-"


def file_name(symbol: str, from_ms: int) -> str:
    """Return the name of the file of the day that a time (ms since the epoch) is in."""
    return f"{safe_name(symbol)}_{date_of(from_ms)}.parquet"


def date_of(time_ms: int) -> str:
    """Return the UTC date of a time (ms since the epoch)."""
    return datetime.fromtimestamp(time_ms / 1_000, UTC).date().isoformat()


def missing_days(names: Iterable[str]) -> list[date]:
    """Return the UTC dates, in order, that lie between those of day files and have none; of other names nothing."""
    found = set()
    for name in names:
        if match := re.search(r"_(\d{4}-\d\d-\d\d)\.", name):
            with suppress(ValueError):  # no date
                found.add(date.fromisoformat(match[1]))
    if not found:
        return []
    days = range((max(found) - min(found)).days)
    return [day for each in days if (day := min(found) + timedelta(days=each)) not in found]


def symbol_in(name: str) -> str | None:
    """Return the symbol that the name of a day file, or of an `fx_*` recording, begins with or holds."""
    match = re.fullmatch(r"(.+)_\d{4}-\d\d-\d\d\.parquet", name) or re.search(r"_([A-Z]{6})_", name)
    return None if match is None else match.group(1)
