"""One config with other values in some of its keys, each time checked as a whole: what a sweep tries."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bot.config.errors import ConfigError
from bot.config.loading import OF_THE_PLACE, checked
from bot.config.model import Config, SweepConfig
from bot.config.source import ConfigSource, Key
from bot.config.source_text import read_yaml_text
from bot.config.yaml_tree import read_tree

FIXED = (*OF_THE_PLACE, "backtest", "sweep")
"""Sections that are not tried: where a bot runs, what is assumed of the venue, and the search itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Variants:
    """What a config says of trading, for the embedded venue, and where it says so."""

    tree: Mapping[str, Any]
    source: ConfigSource

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str]) -> Self:
        """Read a YAML file. Where it would run is left out unread, secrets included.

        Raises: ConfigError, as `load_config`.
        """
        text = read_yaml_text(path, "config")
        tree, source = read_tree(text, str(path), environ, may_be_unset=[(section,) for section in OF_THE_PLACE])
        for section in OF_THE_PLACE:
            tree.pop(section, None)
        tree["venue"] = {"environment": "simulator"}
        checked(tree, source)
        return cls(tree, source)

    @classmethod
    def of_text(cls, text: str) -> Self:
        """Return what `text` has made, on another machine perhaps."""
        content = json.loads(text)
        lines = {tuple(key): line for key, line in content["lines"]}
        return cls(content["tree"], ConfigSource(content["name"], lines))

    def text(self) -> str:
        """Return it as text, the values of variables filled in; the same config makes the same text."""
        lines = [[list(key), line] for key, line in self.source.lines.items()]
        return json.dumps({"tree": self.tree, "name": self.source.name, "lines": lines}, default=str)

    def config(self, changes: Mapping[str, Any]) -> Config:
        """Return the config with other values, by key (`sizing.band`).

        Raises: ConfigError where a key cannot be tried, or what comes out is not a config.
        """
        tree, lines = copy.deepcopy(dict(self.tree)), dict(self.source.lines)
        for name, given in changes.items():
            key = self._key(name)
            lines[key] = self.source.line(key)  # so that an error is about this key, written in the file or not
            *sections, last = key
            place = tree
            for section in sections:
                if place.get(section) is None:
                    place[section] = {}
                place = place[section]
            place[last] = given
        return checked(tree, ConfigSource(self.source.name, lines))

    def given(self, name: str) -> Any:
        """Return what the file has under a key; None where it has nothing."""
        place: Any = self.tree
        for part in self._key(name):
            place = place.get(part) if isinstance(place, Mapping) else None
        return place

    def sweep(self, path: Path | None, environ: Mapping[str, str]) -> SweepConfig:
        """Return what is searched: the config's own section `sweep`, or a file of its keys instead.

        Raises: ConfigError naming file, line and key.
        """
        if path is None:
            return checked(dict(self.tree), self.source).sweep
        tree, source = read_tree(read_yaml_text(path, "file of ranges"), str(path), environ, what="ranges")
        if set(tree) == {"sweep"}:
            lines, tree = source.lines, tree["sweep"]
        else:
            lines = {("sweep", *key): line for key, line in source.lines.items()}
        return checked({**self.tree, "sweep": tree}, ConfigSource(str(path), lines)).sweep

    def _key(self, name: str) -> Key:
        first, _, rest = name.partition(".")
        if first in FIXED or first not in Config.model_fields:
            allowed = ", ".join(section for section in Config.model_fields if section not in FIXED)
            raise ConfigError(f"sweep.ranges: {name}: is no key to try; allowed: keys of {allowed}")
        if first != "symbols":
            return (first, *rest.split(".")) if rest else (first,)
        symbol, _, last = rest.rpartition(".")  # a symbol's name may have dots of its own
        if symbol not in self.tree["symbols"]:
            known = ", ".join(self.tree["symbols"])
            raise ConfigError(f"sweep.ranges: {name}: the config trades no {symbol or rest!r}; it trades {known}")
        return first, symbol, last
