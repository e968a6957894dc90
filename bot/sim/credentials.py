"""Who may do what: the client's secret, access tokens with their scope and accounts, single-use refresh tokens."""

import hashlib
import hmac
from dataclasses import dataclass

TOKEN_LIFE_S = 2_628_000


@dataclass(frozen=True, slots=True)
class Grant:
    """What an access token allows."""

    can_trade: bool
    account_ids: tuple[int, ...]


class Credentials:
    """The venue's secrets. A refresh kills both tokens of the old pair and makes a new pair of the same grant.

    The public attributes are what the venue was started with.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        access_token: str,
        refresh_token: str,
        view_token: str | None,
        account_ids: tuple[int, ...],
    ) -> None:
        self.client_id, self.client_secret = client_id, client_secret
        self.access_token, self.refresh_token = access_token, refresh_token
        self._grants = {access_token: Grant(True, account_ids)}
        if view_token is not None:
            self._grants[view_token] = Grant(False, account_ids)
        self._refresh = {refresh_token: access_token}
        self._made = 0

    def is_client(self, client_id: str, client_secret: str) -> bool:
        """Tell whether this is the registered client with its secret."""
        given, known = f"{client_id}\n{client_secret}".encode(), f"{self.client_id}\n{self.client_secret}".encode()
        return hmac.compare_digest(given, known)

    def grant(self, access_token: str) -> Grant | None:
        """Return what a token allows; None for one that is unknown or no longer valid."""
        return self._grants.get(access_token)

    def refresh(self, refresh_token: str) -> tuple[str, str, str] | None:
        """Use a refresh token up; return (new access, new refresh, old access) tokens, None if it is unknown."""
        old = self._refresh.pop(refresh_token, None)
        if old is None:
            return None
        self._made += 1
        access, refresh = (self._token("access"), self._token("refresh"))
        self._grants[access] = self._grants.pop(old)
        self._refresh[refresh] = access
        return access, refresh, old

    def _token(self, kind: str) -> str:
        # Derived from the client's secret: not to be guessed without it, and the same in every run with the same one.
        key = f"{kind}/{self._made}".encode()
        return hmac.new(self.client_secret.encode(), key, hashlib.sha256).hexdigest()
