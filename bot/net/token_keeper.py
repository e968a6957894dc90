"""Sees to it that a run has an access token that is valid: from the file if another process has been first, else new.

How it works: `look` is called after every input. When the session wants a token, the keeper takes the lock of the token
file, reads the file again, and tells the session one of three things through `tell`, which journals it as an input: use
what is in the file; go on and ask the venue on this connection; or, asked by HTTP when there is no connection, use this
new pair. `keep_fresh` puts a pair that has come over the connection on disk before any byte leaves that uses it. The
lock is held from the reading of the file until the new pair is on disk, so that one refresh token is never used twice.

The connection comes first; what it refuses is asked once more over HTTP before it is believed, and after other trouble
the two take turns.

Invariant: a new pair is on disk before it is used; the old one died when it was made.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from bot.config import ConfigError
from bot.config.token_file import Token, TokenLock, read_token_file, write_token_file
from bot.ctrader.phases import Phase
from bot.ctrader.session import Session
from bot.ctrader.token import Need, TokenPair, TokenStep
from bot.net.oauth import OAuthRefused

BUSY_PAUSE_S = 0.5
# A venue whose tokens do not live, or are not taken, must not be asked again and again: each time kills a pair.
LEAST_BETWEEN_S = 30.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0
_SECOND_NS = 1_000_000_000
_log = Logger()


class RefreshesTokens(Protocol):
    """Who can turn a refresh token into a new pair without the venue's connection."""

    def refresh(self, refresh_token: str) -> "Deferred[Token]":
        """Return the new pair, or fail with OAuthRefused or OAuthUnreachable."""


def not_stored(error: ConfigError) -> str:
    """Return the line for a person whose new token could not be written: both pairs are gone when the run ends."""
    return (
        f"a new access token came and could not be stored: {error}. Mend that, and log in with `microlev auth login`."
    )


def token_pair(token: Token) -> TokenPair:
    """Return a token of the file as the session knows it."""
    return TokenPair(token.access_token, token.refresh_token, token.expires_ns)


class TokenKeeper:
    """Keeps the token of one run.

    Args: `oauth` is None where there is no OAuth server to ask; `tell` injects a step into the run; `now_ns` is the
        run's clock; `learn` is told every secret that is new, so that nothing stores it by mistake;
        `name` starts its lines in the log.
    """

    def __init__(
        self,
        reactor: Any,
        path: Path,
        session: Session,
        oauth: RefreshesTokens | None,
        now_ns: Callable[[], int],
        tell: Callable[[TokenStep], None],
        learn: Callable[[str], None] = lambda secret: None,
        *,
        name: str = "",
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._session = session
        self._oauth = oauth
        self._now_ns = now_ns
        self._tell = tell
        self._learn = learn
        self._name = name
        self._lock = TokenLock(path)
        self._is_asking = self._is_over_http = False
        self._failures = 0
        self._socket_refusal: str | None = None
        self._renewed_s: float | None = None
        self._later: Any = None

    def look(self) -> None:
        """Act if the session wants a token, or has been refused one."""
        token = self._session.token
        if self._is_asking and token.refusal is not None:
            refusal, token.refusal = token.refusal, None
            self._is_asking = False
            if refusal.is_final and self._oauth is not None and not self._changed_in_file():
                # What refuses may be the message and not the token; the other way will say.
                self._socket_refusal = refusal.text
                self._lock.release()
                self._again(0.0)
            else:
                self._refused(refusal.text, is_final=refusal.is_final)
        elif token.need is None:
            self._failures, self._socket_refusal = 0, None
        elif not self._is_asking and self._later is None and self._session.phase is not Phase.APPLICATION_AUTH:
            # While the application is authenticated there is a connection, but nothing can be asked on it yet.
            rest_s = 0.0 if self._renewed_s is None else self._renewed_s + LEAST_BETWEEN_S - self._reactor.seconds()
            if rest_s > 0:
                self._again(rest_s)
            else:
                self._seek()

    @property
    def is_asking(self) -> bool:
        """Whether an answer is on its way that may hold a new pair: the run must not end before it has come."""
        return self._is_asking and (self._is_over_http or self._session.is_renewing_token)

    def keep_fresh(self) -> None:
        """Put a pair that has come over the connection on disk; nothing when none has.

        Raises: ConfigError when it cannot be written; nothing may then be sent that uses it.
        """
        fresh = self._session.token.fresh
        if fresh is None:
            return
        self._session.token.fresh = None
        self._is_asking = False
        try:
            self._keep(Token(fresh.access_token, fresh.refresh_token, _epoch_s(fresh.expires_ns)))
        finally:
            self._lock.release()

    def close(self) -> None:
        """Give the lock back and wait for nothing any more."""
        if self._later is not None and self._later.active():
            self._later.cancel()
        self._later = None
        self._lock.release()

    # -- the search -------------------------------------------------------------------------------------------------

    def _seek(self) -> None:
        try:
            if not self._lock.try_acquire():
                self._again(BUSY_PAUSE_S)  # another process is at it; its pair will be in the file
                return
            found = read_token_file(self._path)
        except ConfigError as error:
            self._lock.release()
            self._refused(str(error), is_final=False)
            return
        used = self._session.token.pair
        if found.access_token != used.access_token:
            self._lock.release()
            self._learn_all(found)
            _log.info("{name}somebody else has refreshed the access token; using that one", name=self._name)
            self._step("use", token_pair(found))
        elif found.refresh_token is None:
            self._lock.release()
            self._give_up(f"{self._path} holds no refresh token")
        elif self._can_ask_venue and used.refresh_token == found.refresh_token:
            self._is_asking = True
            self._step("renew")
        elif self._oauth is None:
            self._lock.release()
            self._refused("there is no connection to ask on, and venue.oauth_url is not given", is_final=False)
        else:
            self._is_asking = self._is_over_http = True
            self._oauth.refresh(found.refresh_token).addCallbacks(self._came, self._failed)

    @property
    def _can_ask_venue(self) -> bool:
        # After a failure on the connection the next attempt goes over HTTP, if there is one.
        is_its_turn = self._oauth is None or (self._failures % 2 == 0 and self._socket_refusal is None)
        return self._session.can_renew_token and is_its_turn

    def _came(self, token: Token) -> None:
        self._is_asking = self._is_over_http = False
        try:
            self._keep(token)
        except ConfigError as error:
            self._step("lost", text=not_stored(error))
            return
        finally:
            self._lock.release()
        self._step("use", token_pair(token), renewed=True)

    def _failed(self, failure: Failure) -> None:
        self._is_asking = self._is_over_http = False
        self._lock.release()
        text = str(failure.value)
        if self._socket_refusal is not None:
            self._refused(f"{self._socket_refusal}; and over HTTP: {text}", is_final=True)
        else:
            self._refused(text, is_final=failure.check(OAuthRefused) is not None)

    def _refused(self, text: str, *, is_final: bool) -> None:
        if is_final:
            self._lock.release()
            if self._changed_in_file():
                self._again(0.0)
            else:
                self._give_up(text)
            return
        self._lock.release()
        self._failures += 1
        pause_s = min(FIRST_PAUSE_S * 2.0 ** (self._failures - 1), LONGEST_PAUSE_S)
        said = "{name}the access token could not be refreshed: {why}; again in {s:.0f} s"
        _log.warn(said, name=self._name, why=text, s=pause_s)
        self._again(pause_s)

    def _changed_in_file(self) -> bool:
        # Somebody who does not know of the lock, `auth login` of another version say, may have been at it.
        try:
            return read_token_file(self._path).access_token != self._session.token.pair.access_token
        except ConfigError:
            return False

    def _give_up(self, why: str) -> None:
        if self._session.token.need is Need.AHEAD:
            # It still works; a person has until its end to log in again, and is told every five minutes.
            said = "{name}the access token expires soon and cannot be refreshed: {why}. Log in again."
            _log.error(said, name=self._name, why=why)
            self._again(LONGEST_PAUSE_S)
            return
        text = (
            f"the access token is not valid any more and cannot be refreshed: {why}. Log in with `microlev auth login`."
        )
        self._step("lost", text=text)

    def _keep(self, token: Token) -> None:
        self._learn_all(token)
        write_token_file(self._path, token)
        self._renewed_s = self._reactor.seconds()
        said = "{name}the access token was refreshed; the new one is valid{until}"
        _log.info(said, name=self._name, until=_until(token.expires_at))

    def _learn_all(self, token: Token) -> None:
        for secret in (token.access_token, token.refresh_token):
            if secret:
                self._learn(secret)

    def _step(self, step: Any, pair: TokenPair | None = None, *, renewed: bool = False, text: str = "") -> None:
        # On a turn of its own: `look` is called in the middle of another input.
        def say() -> None:
            self._later = None
            self._tell(TokenStep(self._now_ns(), step, pair, renewed, text))

        self._later = self._reactor.callLater(0, say)

    def _again(self, pause_s: float) -> None:
        def seek() -> None:
            self._later = None
            self.look()

        self._later = self._reactor.callLater(pause_s, seek)


def _until(expires_at: float | None) -> str:
    if expires_at is None:
        return ", nobody says for how long"
    try:
        return time.strftime(" until %Y-%m-%d %H:%M UTC", time.gmtime(expires_at))
    except (OverflowError, OSError, ValueError):
        return " for longer than the calendar goes"


def _epoch_s(expires_ns: int | None) -> float | None:
    return None if expires_ns is None else expires_ns // _SECOND_NS
