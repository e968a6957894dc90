"""Where each key of a configuration was written, so that an error can name the file and the line."""

from dataclasses import dataclass, field

from bot.config.errors import ConfigError

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """The file of a configuration and the line (1-based) of each of its keys."""

    name: str = "config"
    lines: dict[Key, int] = field(default_factory=dict)

    def written(self, key: Key) -> Key:
        """Return the longest leading part of `key` that stands in the file; () when nothing of it does."""
        while key and key not in self.lines:
            key = key[:-1]
        return key

    def line(self, key: Key) -> int:
        """Return the line of a key, or of the section it is missing from."""
        return self.lines.get(self.written(key), 1)

    def error_at(self, key: Key, text: str, more: int = 0) -> ConfigError:
        """Return the error to raise about a key; `more` counts the errors that are not shown."""
        rest = f" (and {more} more)" if more else ""
        # An address in the place of a key may hold a secret.
        shown = ".".join("(an address)" if "://" in part else part for part in key)
        return ConfigError(f"{self.name}:{self.line(key)}: {shown or 'config'}: {text}{rest}")
