"""Read a configuration file: YAML to the typed model, or one line that says what to change."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bot.config.errors import ConfigError
from bot.config.model import Config, LeverageBand, LeverageWindow, RangeConfig, SymbolConfig, VenueConfig
from bot.config.rules import contradictions
from bot.config.source import ConfigSource, Key
from bot.config.source_text import read_yaml_text
from bot.config.yaml_tree import FromEnvironment, read_tree

# Keys whose default is a variable of the environment; without it they stay None until they are needed.
_FROM_ENVIRONMENT = {"client_id": "CTRADER_CLIENT_ID", "client_secret": "CTRADER_CLIENT_SECRET"}
_LISTED: dict[Key, type[BaseModel]] = {
    ("risk", "leverage_bands"): LeverageBand,
    ("risk", "leverage_windows"): LeverageWindow,
}
_LONGEST_SHOWN = 60
_IS_MISSING = "is missing"
_HOW_TO_CONNECT = tuple(key for key in VenueConfig.model_fields if key != "environment")
_ACCOUNT_ID: Key = ("account", "id")
OF_THE_PLACE = ("venue", "account", "credentials", "mode", "recording", "state", "telemetry", "alerts")
"""The sections that say where a bot runs, what it keeps and whom it tells; the others say how it trades."""


def load_config(path: Path, environ: Mapping[str, str], *, needs_account: bool = True) -> Config:
    """Return the configuration in a YAML file.

    Args: `environ` answers `${NAME}`; pass `os.environ`. Without `needs_account`, `account.id` may be missing, its
        variable unset: for the commands by which a person finds out what it is.
    Raises: ConfigError, one line with file, line and key, when the file or anything in it cannot be used.
    """
    text = read_yaml_text(path, "config")
    return parse_config(text, str(path), environ, needs_account=needs_account)


def parse_config(text: str, name: str, environ: Mapping[str, str], *, needs_account: bool = True) -> Config:
    """Return the configuration in a YAML text; `name` stands for the file in errors.

    Raises: ConfigError, as `load_config`.
    """
    tree, source = read_tree(text, name, environ, may_be_unset=() if needs_account else (_ACCOUNT_ID,))
    _fill_credentials(tree, environ)
    return checked(tree, source, needs_account=needs_account)


def load_preset(path: Path, environ: Mapping[str, str]) -> Config:
    """Return what a YAML file says of trading: symbols, strategy, sizing, risk, execution, what becomes of positions.

    Where it would run (venue, account, credentials, mode, folders) is left out unread, and its variables may be unset:
    the configuration is one for the embedded venue, in dry run.
    Raises: ConfigError, as `load_config`.
    """
    text = read_yaml_text(path, "config")
    tree, source = read_tree(text, str(path), environ, may_be_unset=[(section,) for section in OF_THE_PLACE])
    for section in OF_THE_PLACE:
        tree.pop(section, None)
    tree["venue"] = {"environment": "simulator"}
    return checked(tree, source)


def load_place(path: Path, environ: Mapping[str, str]) -> Config:
    """Return what a YAML file says of `venue.environment`, account and state: enough to find a running bot.

    The rest is left out unread, and its variables may be unset: neither the secrets nor a mistake made in the file
    since the start are to keep anybody from stopping a bot. The configuration is one in dry run.
    Raises: ConfigError, as `load_config`.
    """
    text = read_yaml_text(path, "config")
    unread = [section for section in Config.model_fields if section not in ("venue", "account", "state")]
    may_be_unset = [*((section,) for section in unread), *(("venue", key) for key in _HOW_TO_CONNECT)]
    tree, source = read_tree(text, str(path), environ, may_be_unset=may_be_unset)
    for section in unread:
        tree.pop(section, None)
    if isinstance(tree.get("venue"), dict):
        tree["venue"] = {key: value for key, value in tree["venue"].items() if key not in _HOW_TO_CONNECT}
    tree["symbols"] = {"EURUSD": {}}
    return checked(tree, source)


def checked(tree: dict[str, Any], source: ConfigSource, *, needs_account: bool = True) -> Config:
    """Return the configuration that a tree of keys holds. Raises: ConfigError, as `load_config`."""
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        problems: dict[Key, str] = {}
        for details in error.errors(include_url=False):
            key = source.written(tuple(str(part) for part in details["loc"]))
            if details["type"] == "missing":
                key = tuple(str(part) for part in details["loc"])
            problems.setdefault(key, _explain(details, key, tree))  # a union reports one key several times
        raise _first(problems, source) from None
    config._source = source
    found = contradictions(config)
    if not needs_account:
        found.pop(_ACCOUNT_ID, None)
    if found:
        raise _first(found, source)
    return config


def _first(problems: Mapping[Key, str], source: ConfigSource) -> ConfigError:
    # What is missing may be there under a misspelt name: that is told before it.
    key = min(problems, key=lambda each: (problems[each].startswith(_IS_MISSING), source.line(each)))
    return source.error_at(key, problems[key], more=len(problems) - 1)


def _fill_credentials(tree: dict[str, Any], environ: Mapping[str, str]) -> None:
    section = tree.get("credentials")
    if section is None:
        section = tree["credentials"] = {}
    if isinstance(section, dict):
        for key, variable in _FROM_ENVIRONMENT.items():
            if section.get(key) is None and environ.get(variable):
                section[key] = FromEnvironment(environ[variable])


def _explain(details: ErrorDetails, key: Key, tree: dict[str, Any]) -> str:
    """Say what is wrong with one key, and what is allowed."""
    kind = details["type"]
    if kind == "missing" and key[:1] != ("symbols",):
        return f"{_IS_MISSING}; it has no default"
    if kind == "missing":
        return f"{_IS_MISSING}; name at least one symbol, for example `symbols: {{EURUSD: {{}}}}`"
    if kind == "extra_forbidden":
        allowed = _allowed_keys(key[:-1])
        return f"unknown key{nearest(key[-1], allowed)}; allowed here: {', '.join(allowed)}"
    given = _lookup(tree, key)
    if kind == "too_short":
        return "is empty; name at least one symbol, for example `symbols: {EURUSD: {}}`"
    if kind in ("model_type", "dict_type"):
        return f"{shown(given, key)}; should hold keys of its own: {', '.join(_allowed_keys(key)) or 'name: value'}"
    said = details["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    if kind == "literal_error":
        choices = str(details.get("ctx", {}).get("expected", ""))
        return f"{shown(given, key)}{nearest(str(given), choices.replace(' or ', ', ').split(', '))}; {said}"
    if kind in ("string_type", "path_type") and isinstance(given, bool | int | float):
        said = "should be text: put it in quotes"
    if kind == "list_type" and key == ("alerts", "urls"):
        said = "should be a list, one address a line: `- ${NAME}`"
    if kind == "list_type" and key in _LISTED:
        said = f"should be a list, one entry a line: `- {{{': …, '.join(_LISTED[key].model_fields)}: …}}`"
    if key[:2] in _LISTED and key[-1] == "at":
        said = "should be a moment with its time zone, as 2026-12-04T13:30:00Z"
    if key[:2] in _LISTED and key[-1] == "leverage" and isinstance(given, str):
        said = "should be a plain number above 0: 50 for 1:50"
    if key == ("sizing", "band"):
        said = "should be auto, or a number from 0 to 1"
    return f"{shown(given, key)}; {said}"


def nearest(given: str, allowed: list[str]) -> str:
    """Return `, did you mean …?` for the allowed word that is most like the given one; "" when none is."""
    names = {choice.strip("'"): choice for choice in allowed}
    close = difflib.get_close_matches(given.lower(), names, n=1, cutoff=0.6)
    return f", did you mean {close[0]!r}?" if close else ""


def shown(given: Any, key: Key) -> str:
    """Return what was given, for an error about it."""
    # Nothing that may be a secret is repeated: it would end up in a terminal log or in a bug report.
    if isinstance(given, FromEnvironment):
        return "the text from the environment does not fit"
    if key[:1] == ("credentials",) and key != ("credentials", "token_file"):
        return "does not fit (not shown here)"
    if key == ("alerts",) or key[:2] == ("alerts", "urls"):  # the addresses hold tokens and passwords
        return "does not fit (not shown here)"
    if given is None:
        return "is null"
    text = str(given) if isinstance(given, int | float) and not isinstance(given, bool) else repr(given)
    if isinstance(given, bool):
        text = str(given).lower()
    return f"is {text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '…'}"


def _lookup(tree: Any, key: Key) -> Any:
    for part in key:
        if isinstance(tree, list):
            tree = tree[int(part)] if part.isdecimal() and int(part) < len(tree) else None
        else:
            tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _allowed_keys(key: Key) -> list[str]:
    """Return the keys that a section of the model knows; [] where the names are free."""
    model: Any = Config
    if key[:1] == ("symbols",):
        model = SymbolConfig if len(key) == 2 else None
    elif key[:2] == ("sweep", "ranges"):
        model = RangeConfig if len(key) == 3 else None
    elif key[:2] in _LISTED:
        model = _LISTED[key[:2]] if len(key) == 3 else None
    elif key:
        model = Config.model_fields[key[0]].annotation if len(key) == 1 else None
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
