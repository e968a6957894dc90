"""A run as its journal describes it: the session and the engine that were, put together once more."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot import __version__
from bot.assembly import Run, assemble, journalled_token
from bot.config import Config
from bot.config.secrets import ClientSecrets
from bot.ctrader.redact import MARKER
from bot.journal.format import JournalError


def recorded_run(path: Path, header: Mapping[str, Any]) -> Run:
    """Return the run of a journal's header, idle. Args: `path` for the error.

    Raises: JournalError for a journal of something else, or of a version with other configs.
    """
    if header.get("software") != "microlev" or not {"config", "run_id"} <= header.keys():
        raise JournalError(f"{path} is a journal, but not of a microlev run")
    try:
        config = Config.model_validate(header["config"])
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise JournalError(f"{path}: its config does not fit version {__version__}: {first}") from None
    token, renewable = journalled_token(header)
    return assemble(
        config,
        ClientSecrets(MARKER, MARKER),
        token,
        str(header["run_id"]),
        renewable=renewable,
        sharers=int(header.get("sharers", 1)),
    )
