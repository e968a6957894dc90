"""Credentials at the moment they are needed: the client's two secrets, and the token from the config or its file."""

from dataclasses import asdict, dataclass, field
from typing import Any

from bot.config.errors import TokenFileMissing
from bot.config.model import Config
from bot.config.token_file import Token, read_token_file

__all__ = ["ClientSecrets", "Token", "client_secrets", "load_token", "redacted"]

_REDACTED = "**********"


@dataclass(frozen=True, slots=True)
class ClientSecrets:
    """Client id and secret of the Open API application. `repr` shows neither."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)


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
        return read_token_file(path)
    except TokenFileMissing:
        raise config.error_at(
            "credentials",
            f"no access token: access_token is not given and there is no token file {path}; "
            "get one with: microlev auth login CONFIG",
        ) from None


def redacted(config: Config) -> dict[str, Any]:
    """Return the effective configuration as plain values for printing, every secret replaced by asterisks."""
    content = config.model_dump(mode="json")
    content["sizing"] = asdict(config.effective_sizing())
    for key, given in content["credentials"].items():
        if given is not None and key != "token_file":
            content["credentials"][key] = _REDACTED
    return content
