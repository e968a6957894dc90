"""A list of scheduled releases, as YAML: when, what, and how long before and after belongs to it.

    - {time: 2014-05-02T12:30:00Z, name: payrolls, before: 5, after: 30}

`before` and `after` are minutes, 5 and 30 where they are left out.
"""

import math
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bot.config.errors import ConfigError
from bot.config.source_text import read_yaml_text

_KEYS = ("time", "name", "before", "after")


class ListedRelease(NamedTuple):
    """One entry. Units: UTC ns; minutes."""

    name: str
    time_ns: int
    before_minutes: float
    after_minutes: float


def load_releases(path: Path) -> list[ListedRelease]:
    """Return the releases of a file. Raises: ConfigError, one line, with file and entry."""
    text = read_yaml_text(path, "events")
    try:
        entries = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(f"{path}:{mark.line + 1 if mark else 1}: events: is not valid YAML") from None
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{path}: events: should be a list of entries with time and name")
    return [_release(path, number + 1, entry) for number, entry in enumerate(entries)]


def _release(path: Path, number: int, entry: Any) -> ListedRelease:
    where = f"{path}: entry {number}"
    if not isinstance(entry, dict) or not {"time", "name"} <= set(entry):
        raise ConfigError(f"{where}: needs time and name, as {{time: 2014-05-02T12:30:00Z, name: payrolls}}")
    if unknown := [str(key) for key in entry if key not in _KEYS]:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; there are: {', '.join(_KEYS)}")
    name = entry["name"]
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"{where}: name must be a text, not {name!r}")
    try:
        moment = entry["time"]
        moment = moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))
    except ValueError:
        raise ConfigError(f"{where}: time {entry['time']!r} is none such as 2014-05-02T12:30:00Z") from None
    if moment.tzinfo is None:
        raise ConfigError(f"{where}: time {entry['time']} names no time zone; write 2014-05-02T12:30:00Z for UTC")
    minutes = []
    for key, default in (("before", 5.0), ("after", 30.0)):
        given = entry.get(key, default)
        if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < math.inf:
            raise ConfigError(f"{where}: {key} must be minutes, 0 or more, not {given!r}")
        minutes.append(float(given))
    if not sum(minutes) > 0:
        raise ConfigError(f"{where}: before and after are both 0, which is no time at all")
    return ListedRelease(name.strip(), round(moment.timestamp() * 1_000) * 1_000_000, *minutes)
