"""What went wrong in a user's strategy, for a person: where in the file, and what, in one line."""

import traceback

from bot.sizing.strategy import StrategyError


class StrategyFault(Exception):
    """A user's strategy answered something that cannot be a leverage."""


def place(error: BaseException, source: str) -> str:
    """Return file:line of the last frame of an error that is in a file, or the file alone."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{error.filename or source}:{error.lineno}"
    whole = (f"/{source}", f"\\{source}")  # the source may be written as a relative path; frames hold the whole one
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == source or frame.filename.endswith(whole)]
    return f"{source}:{lines[-1]}" if lines and lines[-1] else source


def said(error: BaseException) -> str:
    """Return an error in one line; a fault of the strategy's answer needs no name of its kind."""
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return text if isinstance(error, StrategyFault | StrategyError) else f"{type(error).__name__}: {text}"
