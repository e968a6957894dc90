"""The token file of a command that refreshes the token on its connection: locked, read again, written first."""

from collections.abc import Callable
from pathlib import Path

from bot.config import ConfigError
from bot.config.token_file import Token, TokenLock, check_replaceable, read_token_file, write_token_file
from bot.doctor.kept_token import CannotKeep

_SECOND_NS = 1_000_000_000


class KeptToken:
    """Keeps the token of one file; see `bot.doctor.kept_token.KeepsToken`.

    Args: `used` is the token the connection was opened with; `learn` is told every secret that is new.
    """

    def __init__(self, path: Path, used: Token, learn: Callable[[str], None]) -> None:
        self._path, self._used, self._learn = path, used, learn
        self._lock: TokenLock | None = None

    def begin(self) -> str:
        """Lock the file and return its refresh token. Raises: CannotKeep."""
        try:
            self._lock = TokenLock(self._path)
            if not self._lock.try_acquire():
                raise CannotKeep("another process is refreshing the token right now")
            check_replaceable(self._path)
            found = read_token_file(self._path)
        except ConfigError as error:
            self.end()
            raise CannotKeep(str(error)) from None
        if found.access_token != self._used.access_token:
            self.end()
            raise CannotKeep("another process has refreshed the token meanwhile")
        if found.refresh_token is None:
            self.end()
            raise CannotKeep("the token file holds no refresh token")
        return found.refresh_token

    def keep(self, access_token: str, refresh_token: str, expires_ns: int) -> None:
        """Write the new pair. Raises: CannotKeep."""
        self._learn(access_token)
        self._learn(refresh_token)
        self._used = Token(access_token, refresh_token, expires_ns // _SECOND_NS)
        try:
            write_token_file(self._path, self._used)
        except ConfigError as error:
            raise CannotKeep(str(error)) from None

    def end(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.release()
