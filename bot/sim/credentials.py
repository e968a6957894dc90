"""Who may do what: the client's secret, authorisation codes, access tokens with their grant, single-use refresh tokens.

How it works: a person's consent makes a code; the client exchanges it, within a minute and once, for a pair of tokens.
A refresh uses the refresh token up, kills the access token that belonged to it at once, and makes a new pair of the
same grant. A new consent kills the refresh tokens of earlier ones, not their access tokens.
Tokens are derived from the client's secret: not to be guessed without it, and the same in every run with the same one.

Source: cTrader Open API, account authentication: a code lives one minute, an access token 2,628,000 s, a refresh token
until it is used or consent is given again. The error codes of the HTTP side are not documented.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bot.sim.entities import Refused

TOKEN_LIFE_S = 2_628_000
CODE_LIFE_NS = 60_000_000_000
SCOPES = {"trading": True, "accounts": False}
"""Whether each scope may trade."""

EXPIRED_CODES = ("OA_AUTH_TOKEN_EXPIRED", "CH_ACCESS_TOKEN_INVALID")
"""What an expired access token may be answered with; which of them the real venue says is not confirmed."""

_SECOND_NS = 1_000_000_000
_A_LONG_TIME_S = 31_556_952_000
_LOOPBACK = re.compile(r"http://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?([/?][^\s#]*)?")


@dataclass(frozen=True, slots=True)
class Grant:
    """What an access token allows. Missing: `expires_ns` is None for one that never expires."""

    can_trade: bool
    account_ids: tuple[int, ...]
    expires_ns: int | None = None

    def is_expired(self, now_ns: int) -> bool:
        """Tell whether the token's life is over."""
        return self.expires_ns is not None and now_ns >= self.expires_ns


@dataclass(frozen=True, slots=True)
class Issued:
    """A new pair of tokens. `life_s` is None for one that never expires; `replaced` is the access token it killed."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    life_s: float | None
    replaced: str | None = field(default=None, repr=False)

    @property
    def expires_in_s(self) -> int:
        """The life in whole seconds, as the protocol states it; a thousand years for one that never expires."""
        return round(self.life_s) if self.life_s is not None else _A_LONG_TIME_S


@dataclass(frozen=True, slots=True)
class _Consent:
    redirect_uri: str
    grant: Grant
    expires_ns: int


class Credentials:
    """The venue's secrets. The public attributes are what the venue was started with.

    Args: `token_life_s` is the life of every access token but the view token, None for ever; `expired_code` is one of
        `EXPIRED_CODES`; `redirect_uris` are those registered for the client, None stands for every loopback address.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        access_token: str,
        refresh_token: str,
        view_token: str | None,
        account_ids: tuple[int, ...],
        *,
        start_ns: int = 0,
        token_life_s: float | None = TOKEN_LIFE_S,
        expired_code: str = EXPIRED_CODES[0],
        redirect_uris: Iterable[str] | None = None,
    ) -> None:
        if token_life_s is not None and not 0 < token_life_s < _A_LONG_TIME_S:
            raise ValueError(f"the life of a token must be positive, not {token_life_s:g} s")
        if expired_code not in EXPIRED_CODES:
            raise ValueError(f"expired_code must be {' or '.join(EXPIRED_CODES)}, not {expired_code!r}")
        self.client_id, self.client_secret = client_id, client_secret
        self.access_token, self.refresh_token = access_token, refresh_token
        self.token_life_s = token_life_s
        self.expired_code = expired_code
        self.redirect_uris = None if redirect_uris is None else frozenset(redirect_uris)
        self._account_ids = account_ids
        self._codes: dict[str, _Consent] = {}
        self._grants: dict[str, Grant] = {}
        self._refresh: dict[str, tuple[str, Grant]] = {}
        self._unannounced: dict[str, int] = {}
        self.next_expiry_ns: int | None = None
        self._made = 0
        self._issue(access_token, refresh_token, Grant(True, account_ids), start_ns)
        if view_token is not None:
            self._grants[view_token] = Grant(False, account_ids)

    def is_client(self, client_id: str, client_secret: str) -> bool:
        """Tell whether this is the registered client with its secret."""
        given, known = f"{client_id}\n{client_secret}".encode(), f"{self.client_id}\n{self.client_secret}".encode()
        return hmac.compare_digest(given, known)

    # -- consent ----------------------------------------------------------------------------------------------------

    def check_asker(self, client_id: str, redirect_uri: str) -> None:
        """Find out whether consent may be asked for by this client, with the answer going to this address.

        Raises: Refused (INVALID_REQUEST); then nobody may be sent to that address.
        """
        if client_id != self.client_id:
            raise Refused("INVALID_REQUEST", "no application has this client_id")
        registered = self.redirect_uris
        known = _LOOPBACK.fullmatch(redirect_uri) is not None if registered is None else redirect_uri in registered
        if not known:
            raise Refused("INVALID_REQUEST", "redirect_uri is not registered for the application")

    def authorise(self, client_id: str, redirect_uri: str, scope: str, account_ids: Iterable[int], now_ns: int) -> str:
        """Note a person's consent and return the code for it: it lives a minute and serves once.

        Raises: Refused (INVALID_REQUEST) for an unknown client, address, scope or account, or without any account.
        """
        self.check_asker(client_id, redirect_uri)
        if scope not in SCOPES:
            raise Refused("INVALID_REQUEST", f"scope must be {' or '.join(SCOPES)}")
        chosen = tuple(account_id for account_id in self._account_ids if account_id in set(account_ids))
        if not chosen or len(chosen) != len(set(account_ids)):
            raise Refused("INVALID_REQUEST", "consent needs at least one account, and only accounts of this cTID")
        self._codes = {code: kept for code, kept in self._codes.items() if now_ns < kept.expires_ns}
        self._made += 1
        code = self._derived("code")
        self._codes[code] = _Consent(redirect_uri, Grant(SCOPES[scope], chosen), now_ns + CODE_LIFE_NS)
        return code

    def exchange(self, client_id: str, client_secret: str, code: str, redirect_uri: str, now_ns: int) -> Issued:
        """Use a code up and return a pair of tokens for it.

        Raises: Refused (ACCESS_DENIED).
        """
        self._check_client(client_id, client_secret)
        consent = self._codes.pop(code, None)
        if consent is None or now_ns >= consent.expires_ns:
            raise Refused("ACCESS_DENIED", "the code is unknown, was used already, or is older than a minute")
        if redirect_uri != consent.redirect_uri:
            raise Refused("ACCESS_DENIED", "redirect_uri is not the one that consent was asked with")
        self._refresh.clear()
        return self._new_pair(consent.grant, now_ns)

    # -- tokens -----------------------------------------------------------------------------------------------------

    def grant(self, access_token: str) -> Grant | None:
        """Return what a token allows, expired or not; None for one that is unknown or was replaced."""
        return self._grants.get(access_token)

    def refresh(self, refresh_token: str, now_ns: int) -> Issued | None:
        """Use a refresh token up; return the new pair, None if the token is unknown or was used already."""
        known = self._refresh.pop(refresh_token, None)
        if known is None:
            return None
        old, grant = known
        self._grants.pop(old, None)
        self._announce_later(old, None)
        return replace(self._new_pair(grant, now_ns), replaced=old)

    def refresh_over_http(self, client_id: str, client_secret: str, refresh_token: str, now_ns: int) -> Issued:
        """Do as `refresh`, for a client that proves itself.

        Raises: Refused (ACCESS_DENIED).
        """
        self._check_client(client_id, client_secret)
        issued = self.refresh(refresh_token, now_ns)
        if issued is None:
            raise Refused("ACCESS_DENIED", "the refresh token is unknown or was used already")
        return issued

    def expire(self, access_token: str, now_ns: int) -> None:
        """Let an access token count as expired from now; its sessions end when the venue's clock next moves."""
        grant = self._grants.get(access_token)
        if grant is not None and not grant.is_expired(now_ns):
            self._grants[access_token] = replace(grant, expires_ns=now_ns)
            self._announce_later(access_token, now_ns)

    def expired_by(self, now_ns: int) -> list[str]:
        """Return the access tokens whose life ended since this was last asked; their sessions are to be ended."""
        if self.next_expiry_ns is None or now_ns < self.next_expiry_ns:
            return []
        ended = [token for token, expires_ns in self._unannounced.items() if now_ns >= expires_ns]
        for token in ended:
            self._announce_later(token, None)
        return ended

    def _check_client(self, client_id: str, client_secret: str) -> None:
        if not self.is_client(client_id, client_secret):
            raise Refused("ACCESS_DENIED", "client_id or client_secret is wrong")

    def _new_pair(self, grant: Grant, now_ns: int) -> Issued:
        self._made += 1
        access_token, refresh_token = self._derived("access"), self._derived("refresh")
        self._issue(access_token, refresh_token, grant, now_ns)
        return Issued(access_token, refresh_token, self.token_life_s)

    def _issue(self, access_token: str, refresh_token: str, grant: Grant, now_ns: int) -> None:
        expires_ns = None if self.token_life_s is None else now_ns + round(self.token_life_s * _SECOND_NS)
        self._grants[access_token] = replace(grant, expires_ns=expires_ns)
        self._refresh[refresh_token] = (access_token, grant)
        self._announce_later(access_token, expires_ns)

    def _announce_later(self, access_token: str, expires_ns: int | None) -> None:
        self._unannounced.pop(access_token, None)
        if expires_ns is not None:
            self._unannounced[access_token] = expires_ns
        self.next_expiry_ns = min(self._unannounced.values(), default=None)

    def _derived(self, kind: str) -> str:
        return hmac.new(self.client_secret.encode(), f"{kind}/{self._made}".encode(), hashlib.sha256).hexdigest()
