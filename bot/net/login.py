"""A login: consent is asked for in a browser, its answer becomes a token, and the token lies in its file.

How it works: a random state goes out with the question; the answer comes by a redirect to a port of ours, or as a line
that a person pastes. Whichever carries the state first is taken; anything else is said, and waited on. Then, under the
token file's lock, the code is exchanged at once (it lives a minute) and the new pair is written before anybody hears of
it. The browser's page is answered last, so that it says how it ended.
"""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from bot.config.errors import ConfigError, TokenFileBusy
from bot.config.token_file import Token, TokenLock, write_token_file
from bot.net.consent import Consent, Reply
from bot.net.oauth import OAuthClient, OAuthRefused, OAuthUnreachable
from bot.net.oauth_redirect import Page, RedirectAddress, RedirectListener
from bot.net.terminal_lines import TerminalLines

EXIT_NOT_AUTHORISED = 3
EXIT_UNREACHABLE = 4
EXIT_INTERRUPTED = 130
LOCK_PATIENCE_S = 20.0

_LOCK_POLL_S = 0.1


class LoginFailed(Exception):
    """There is no new token. `exit_code` is the command's; the text is one line without secrets."""

    def __init__(self, exit_code: int, text: str) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class Login:
    """One login. `start` opens the ways by which the answer can come; `wait` gives the token.

    Args: `port` is where to listen, None takes that of the redirect URI; `tell` gets lines for the person.
    """

    def __init__(
        self,
        reactor: Any,
        client: OAuthClient,
        token_file: Path,
        redirect: RedirectAddress,
        *,
        port: int | None = None,
        allow_missing_state: bool = False,
        tell: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._client = client
        self._token_file = token_file
        self._redirect = redirect
        self._port = redirect.port if port is None or redirect.port is None else port
        self._tell = tell
        self.state = secrets.token_urlsafe(32)
        self._consent = Consent(self.state, allow_missing_state=allow_missing_state)
        self._listener: RedirectListener | None = None
        self._lines = TerminalLines(reactor, self._pasted)
        self._reads_lines = False
        self._limit: Any = None
        self._shown: list[Deferred[Page]] = []
        self._is_over = False
        self._finished: Deferred[Token] = Deferred()
        self.redirect_uri = redirect.uri

    def start(self) -> None:
        """Listen. `redirect_uri` is then the address to ask consent with (a port 0 has become a real one).

        Raises: LoginFailed when there is no way by which an answer could come.
        """
        if self._port is not None:
            try:
                self._listener = RedirectListener(self._reactor, self._port, self._redirect.path, self._redirected)
            except CannotListenError as error:
                self._tell(
                    f"port {self._port} of this machine is taken ({error.socketError}): the browser's last page will "
                    "show an error; paste its address here"
                )
            else:
                if self._redirect.port == 0:
                    self.redirect_uri = _with_port(self._redirect.uri, self._listener.port)
        self._reads_lines = self._lines.start()
        if self._listener is None and not self._reads_lines:
            raise LoginFailed(
                EXIT_NOT_AUTHORISED,
                "no answer could arrive: nothing listens, and there is no standard input to paste in",
            )

    @property
    def is_listening(self) -> bool:
        """Whether the browser can bring the answer by itself."""
        return self._listener is not None

    @property
    def reads_lines(self) -> bool:
        """Whether a person can paste the answer."""
        return self._reads_lines

    def wait(self, timeout_s: float) -> "Deferred[Token]":
        """Return what fires with the token, once it is in its file and every page has left.

        Raises: LoginFailed or ConfigError, through the Deferred.
        """
        text = (
            f"not authorised: no answer of the consent page came within {timeout_s:g} s; run the command again "
            "(--timeout SECONDS waits longer)"
        )
        self._limit = self._reactor.callLater(timeout_s, self.stop, LoginFailed(EXIT_NOT_AUTHORISED, text))
        return self._finished

    def stop(self, error: LoginFailed) -> None:
        """Give up, unless the answer has come: what is on its way then is finished first."""
        if not self._consent.is_answered:
            self._consent.is_answered = True
            self._end(Failure(error))

    # -- the answer -------------------------------------------------------------------------------------------------

    def _redirected(self, query: dict[str, list[str]]) -> "Deferred[Page]":
        shown: Deferred[Page] = Deferred()
        reply = self._consent.hear(query)
        if reply.kind == "foreign":
            self._tell(f"ignored an answer from the browser: {reply.text}; still waiting")
            shown.callback(Page(400, "Not taken", f"This was ignored: {reply.text}. microlev is still waiting."))
            return shown
        self._shown.append(shown)
        self._reactor.callLater(0, self._take, reply)  # not before the page waits for how it ends
        return shown

    def _pasted(self, line: str) -> None:
        reply = self._consent.hear_pasted(line)
        if reply is None or self._is_over:
            return
        if reply.kind == "foreign":
            self._tell(f"not taken: {reply.text}; still waiting")
            return
        self._take(reply)

    def _take(self, reply: Reply) -> None:
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        if reply.kind == "denied":
            self._end(Failure(LoginFailed(EXIT_NOT_AUTHORISED, f"not authorised: {reply.text}")))
            return
        self._exchange(reply.code).addBoth(self._end)

    @inlineCallbacks
    def _exchange(self, code: str) -> Any:
        lock = TokenLock(self._token_file)
        waited_s = 0.0
        while not lock.try_acquire():
            if waited_s >= LOCK_PATIENCE_S:
                raise TokenFileBusy(f"{self._token_file}: another process keeps the token file; log in again later")
            waited_s += _LOCK_POLL_S
            pause: Deferred[None] = Deferred()
            self._reactor.callLater(_LOCK_POLL_S, pause.callback, None)
            yield pause
        try:
            token = yield self._client.exchange(code, self.redirect_uri)
            write_token_file(self._token_file, token)
        except OAuthRefused as refused:
            text = f"not authorised: the server refused the code: {refused}; run the command again"
            raise LoginFailed(EXIT_NOT_AUTHORISED, text) from None
        except OAuthUnreachable as error:
            raise LoginFailed(EXIT_UNREACHABLE, f"no token: {error}; run the command again") from None
        finally:
            lock.release()
        return token

    # -- the end ----------------------------------------------------------------------------------------------------

    def _end(self, outcome: Any) -> None:
        self._is_over = True
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        if isinstance(outcome, Failure):
            known = isinstance(outcome.value, LoginFailed | ConfigError)
            why = f"{outcome.value}." if known else "Something went wrong; the terminal says more."
            answer = Page(400, "No access", f"{why[0].upper()}{why[1:]} You can close this window.")
        else:
            answer = Page(200, "Access granted", "microlev has stored its token. You can close this window.")
        for shown in self._shown:
            shown.callback(answer)
        self._lines.stop()
        if self._listener is None:
            self._finished.callback(outcome)
        else:
            self._listener.stop().addBoth(lambda _: self._finished.callback(outcome))


def _with_port(uri: str, port: int) -> str:
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=f"{parts.hostname}:{port}"))
