"""Where the token is kept, as an examination sees it: the one place that may let it use the refresh token."""

from typing import Protocol


class CannotKeep(Exception):
    """The token cannot be refreshed, or a new one cannot be stored; the text says why, without a secret."""


class KeepsToken(Protocol):
    """Keeps a token that serves once and whose successor exists nowhere but in the answer that brings it."""

    def begin(self) -> str:
        """Keep everybody else from refreshing, and return the refresh token to use.

        Raises: CannotKeep; then nothing may be asked.
        """

    def keep(self, access_token: str, refresh_token: str, expires_ns: int) -> None:
        """Store a new pair durably: when this returns, it survives the death of the process.

        Raises: CannotKeep.
        """

    def end(self) -> None:
        """Let others refresh again."""
