"""Credentials at the moment they are needed: the client's two secrets, and the token from the config or its file."""

import json
import os
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bot.config.errors import ConfigError
from bot.config.model import Config

_REDACTED = "**********"


@dataclass(frozen=True, slots=True)
class ClientSecrets:
    """Client id and secret of the Open API application. `repr` shows neither."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. `repr` shows no secret.

    Units: `expires_at` in seconds since the epoch.
    Missing: `refresh_token` and `expires_at` are None for a token given in the config, which is never refreshed.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: float | None = None


def client_secrets(config: Config) -> ClientSecrets:
    """Return the application's credentials.

    Raises: ConfigError naming the key and the variable that would fill it.
    """
    given = config.credentials
    if given.client_id is None:
        raise config.error_at("credentials.client_id", "is missing; set CTRADER_CLIENT_ID in the environment")
    if given.client_secret is None:
        raise config.error_at("credentials.client_secret", "is missing; set CTRADER_CLIENT_SECRET in the environment")
    return ClientSecrets(given.client_id.get_secret_value(), given.client_secret.get_secret_value())


def load_token(config: Config) -> Token:
    """Return the access token of the config, else the one in its token file.

    Raises: ConfigError when neither is there, or the file is malformed or readable by others.
    """
    if config.credentials.access_token is not None:
        return Token(config.credentials.access_token.get_secret_value())
    path = config.credentials.token_file
    try:
        with path.open(encoding="utf-8") as file:
            # The open file is asked, not its name: nobody can swap it between the check and the reading.
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                raise ConfigError(f"{path}: others can read the token file (mode {mode:04o}); run: chmod 600 {path}")
            text = file.read()
    except FileNotFoundError:
        raise config.error_at(
            "credentials",
            f"no access token: access_token is not given and there is no token file {path}; write one as "
            '{"access_token": "...", "refresh_token": "...", "expires_at": 1767225600}',
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: the token file cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: the token file is not UTF-8 text") from None
    return _parse_token(text, path)


def _parse_token(text: str, path: Path) -> Token:
    try:
        content: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: the token file is not JSON: {error.msg}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: the token file should hold one JSON object with access_token")
    access_token = content.get("access_token")
    if not isinstance(access_token, str) or not access_token:
        raise ConfigError(f"{path}: access_token is missing; it should be text")
    refresh_token = content.get("refresh_token")
    if refresh_token is not None and not isinstance(refresh_token, str):
        raise ConfigError(f"{path}: refresh_token should be text or null")
    expires_at = content.get("expires_at")
    if expires_at is not None and (isinstance(expires_at, bool) or not isinstance(expires_at, int | float)):
        raise ConfigError(f"{path}: expires_at should be seconds since 1970, or null")
    return Token(access_token, refresh_token or None, None if expires_at is None else float(expires_at))


def redacted(config: Config) -> dict[str, Any]:
    """Return the effective configuration as plain values for printing, every secret replaced by asterisks."""
    content = config.model_dump(mode="json")
    content["sizing"] = asdict(config.effective_sizing())
    for key, given in content["credentials"].items():
        if given is not None and key != "token_file":
            content["credentials"][key] = _REDACTED
    return content
