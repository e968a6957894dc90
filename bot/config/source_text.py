"""The text of a YAML file, or one line on why there is none."""

from pathlib import Path

from bot.config.errors import ConfigError


def read_yaml_text(path: Path, what: str) -> str:
    """Return a file's text; `what` names for a person what kind of file it should be.

    Raises: ConfigError, one line with the path.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; give the path of a YAML {what}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
