"""Where a run keeps its state: ledger, usual values, control socket, stop file."""

import os
from pathlib import Path

from bot.config.model import Config


def state_directory(config: Config) -> Path:
    """Return where the run keeps its state: the config's folder, or one per account in the user's state folder."""
    if config.state.directory is not None:
        return config.state.directory
    account = config.account.id if config.account.id is not None else "first-account"
    return user_state_folder() / f"{config.venue.environment}-{account}"


def user_state_folder() -> Path:
    """Return the user's folder for state: XDG_STATE_HOME, LOCALAPPDATA on Windows, or ~/.local/state."""
    root = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(root) if root else Path.home() / ".local" / "state") / "microlev"
