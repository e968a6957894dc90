"""Stamps of tick files as text to UTC nanoseconds, a whole column at once.

Forms: an epoch count in `s`, `ms`, `us` or `ns`, with or without a fraction; or a calendar with the year first (`ymd`:
ISO 8601, `YYYYMMDD HHMMSSmmm`, `YYYY.MM.DD HH:MM:SS.mmm`), the day first (`dmy`) or the month first (`mdy`). An offset
that a calendar stamp carries wins over the zone that is given.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

EPOCHS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
FORMS = (*EPOCHS, "ymd", "dmy", "mdy")

_DAYS = {
    "ymd": r"(?P<y>\d{4})[-./]?(?P<m>\d\d)[-./]?(?P<d>\d\d)",
    "dmy": r"(?P<d>\d\d)[-./](?P<m>\d\d)[-./](?P<y>\d{4})",
    "mdy": r"(?P<m>\d\d)[-./](?P<d>\d\d)[-./](?P<y>\d{4})",
}
_CLOCK = r"[T ]?(?P<H>\d\d):?(?P<M>\d\d):?(?P<S>\d\d)(?:[.,]?(?P<f>\d{1,9}))?"
_OFFSET = r"\s*(?P<z>Z|UTC|GMT|[+-]\d\d:?\d\d)?"
_EPOCH = r"^(?P<n>\d{1,19})(?:\.(?P<f>\d{1,9}))?$"
_QUARTER_NS = 15 * 60 * 1_000_000_000  # no zone moves its clock within a quarter of an hour


def form_of(stamp: str) -> str | None:
    """Return the form of one stamp, None for what is none or could be two of them."""
    if re.fullmatch(r"\d+(\.\d+)?", stamp):
        digits = len(stamp.partition(".")[0])
        for form, count in (("s", 10), ("ms", 13), ("us", 16), ("ns", 19)):
            if digits == count:
                return form
    if re.match(_pattern("ymd"), stamp):
        return "ymd"
    # With slashes or hyphens the day may be first or the month: nobody can tell.
    if stamp[2:3] == "." and re.match(_pattern("dmy"), stamp):
        return "dmy"
    return None


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its IANA name or as an offset such as -05:00. Raises: ValueError in one line."""
    if match := re.fullmatch(r"([+-])(\d\d):?(\d\d)", name):
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        if offset < timedelta(days=1):
            return timezone(-offset if match[1] == "-" else offset)
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        text = f"there is no time zone {name!r}; use a name such as America/New_York, or an offset such as -05:00"
        raise ValueError(text) from None


def stamps_ns(text: pa.Array, form: str, zone: tzinfo) -> tuple[np.ndarray, np.ndarray]:
    """Return (UTC ns since the epoch, whether each is one), (N,) each; 0 where it is none.

    Shapes: `text` (N,) of strings. A local time that a clock passes twice is the first of the two.
    """
    if form in EPOCHS:
        return _epochs_ns(text, EPOCHS[form])
    parts = pc.extract_regex(text, pattern=_pattern(form))
    valid = np.asarray(pc.is_valid(parts))
    y, m, d, hour, minute, second = (_numbers(parts, name) for name in "ymdHMS")
    valid &= (y >= 1970) & (y < 2200) & (m >= 1) & (m <= 12) & (d >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    month = np.where(valid, (y - 1970) * 12 + m - 1, 0).astype("datetime64[M]")
    valid &= d <= (month + 1).astype("datetime64[D]").astype(np.int64) - month.astype("datetime64[D]").astype(np.int64)
    days = month.astype("datetime64[D]").astype(np.int64) + d - 1
    ns = ((days * 24 + hour) * 60 + minute) * 60 + second
    ns = ns * 1_000_000_000 + _fractions(parts)
    offset_ns, has_offset = _offsets_ns(parts)
    ns = np.where(has_offset, ns - offset_ns, ns - _zone_offsets_ns(ns, valid & ~has_offset, zone))
    return np.where(valid, ns, 0), valid


def _pattern(form: str) -> str:
    return f"^{_DAYS[form]}{_CLOCK}{_OFFSET}$"


def _part(parts: pa.Array, name: str, missing: str) -> pa.Array:
    part = pc.fill_null(pc.struct_field(parts, name), missing)
    return pc.if_else(pc.equal(part, ""), missing, part)


def _numbers(parts: pa.Array, name: str) -> np.ndarray:
    return np.asarray(_part(parts, name, "0").cast(pa.int64()))


def _fractions(parts: pa.Array) -> np.ndarray:
    """Return the digits behind the seconds in billionths."""
    return np.asarray(pc.utf8_rpad(_part(parts, "f", "0"), 9, "0").cast(pa.int64()))


def _epochs_ns(text: pa.Array, unit_ns: int) -> tuple[np.ndarray, np.ndarray]:
    parts = pc.extract_regex(text, pattern=_EPOCH)
    valid = np.asarray(pc.is_valid(parts))
    whole = np.asarray(_part(parts, "n", "0").cast(pa.uint64()))
    valid &= whole <= np.uint64((2**63 - 1) // unit_ns - 1)
    counts = np.where(valid, whole, np.uint64(0)).astype(np.int64)
    return counts * unit_ns + np.where(valid, _fractions(parts) * unit_ns // 1_000_000_000, 0), valid


def _offsets_ns(parts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the offset from UTC that each stamp carries, and whether it carries one."""
    texts, codes = np.unique(
        np.asarray(_part(parts, "z", "-").to_numpy(zero_copy_only=False), str), return_inverse=True
    )
    offsets = np.zeros(len(texts), np.int64)
    for i, text in enumerate(texts.tolist()):
        if match := re.fullmatch(r"([+-])(\d\d):?(\d\d)", text):
            minutes = int(match[2]) * 60 + int(match[3])
            offsets[i] = (-minutes if match[1] == "-" else minutes) * 60_000_000_000
    return offsets[codes], (texts != "-")[codes]


def _zone_offsets_ns(local_ns: np.ndarray, wanted: np.ndarray, zone: tzinfo) -> np.ndarray:
    """Return the zone's offset at each local time, looked up once a quarter of an hour."""
    if zone is UTC or not wanted.any():
        return np.zeros(len(local_ns), np.int64)
    quarters, codes = np.unique(np.where(wanted, local_ns // _QUARTER_NS, 0), return_inverse=True)
    offsets = np.empty(len(quarters), np.int64)
    for i, quarter in enumerate(quarters.tolist()):
        local = datetime(1970, 1, 1, tzinfo=zone) + timedelta(minutes=15 * quarter)  # of the zone's own clock
        offset = local.utcoffset() or timedelta(0)
        offsets[i] = round(offset.total_seconds()) * 1_000_000_000
    return offsets[codes]
