"""The session's access token: when a new one is needed, and what has come of the search for it.

How it works: the session says that it needs a token (`Need`); somebody outside, who may read files and holds the lock
that makes one refresher of many, answers with a `TokenStep`: go on and ask the venue (`renew`), here is one (`use`), or
there is none to be had (`lost`). The venue's own answer, ProtoOARefreshTokenRes, is put aside as `fresh`, and has to be
on disk before a byte leaves that uses it: it has killed the pair before.

Steps are inputs like any other: a journal keeps them, without the tokens, and a replay takes the same ones.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from bot.ctrader.plan import SessionPlan

_SECOND_NS = 1_000_000_000
# Ahead of its end by a day, or by a fifth of what is left when it is first seen, if that is less.
AHEAD_NS, AHEAD_SHARE = 24 * 3600 * _SECOND_NS, 5


class Need(Enum):
    """Why a new token is wanted."""

    AHEAD = "it expires soon"
    NOW = "the venue does not take it any more"


@dataclass(frozen=True, slots=True)
class TokenPair:
    """An access token with its successor's key. `repr` shows neither. Units: `expires_ns` UTC, None when unknown.

    Source: ProtoOARefreshTokenRes.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_ns: int | None


@dataclass(frozen=True, slots=True)
class TokenStep:
    """What was found out about a token, from outside the session.

    `renew`: nobody else refreshes it, ask the venue. `use`: take `pair`; `renewed` when it was made just now, False
    when it was lying in the file. `lost`: give up, `text` says why and what to do.
    """

    recv_ns: int
    step: Literal["renew", "use", "lost"]
    pair: TokenPair | None = None
    renewed: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the venue gave no new pair. Unless it `is_final` the old refresh token may be good still."""

    text: str
    is_final: bool


class SessionToken:
    """The token in use.

    `need` is set while another is wanted; `fresh` is a pair that has come and is not on disk yet; `refusal` is what
    came of asking the venue instead of a pair.
    """

    def __init__(self, plan: SessionPlan) -> None:
        self.pair = TokenPair(plan.access_token, plan.refresh_token, plan.token_expires_ns)
        self.need: Need | None = None
        self.fresh: TokenPair | None = None
        self.refusal: Refusal | None = None
        self._renewable = plan.renewable
        self._ahead_ns: int | None = None
        self._is_untried = False

    @property
    def is_awaited(self) -> bool:
        """Whether nothing can be asked with the token there is."""
        return self.need is Need.NOW

    def is_due(self, now_ns: int) -> bool:
        """Note and return whether the token's end has come near since the last call."""
        expires_ns = self.pair.expires_ns
        if not self._renewable or self.need is not None or expires_ns is None:
            return False
        if self._ahead_ns is None:
            self._ahead_ns = min(AHEAD_NS, max(0, expires_ns - now_ns) // AHEAD_SHARE)
        if now_ns < expires_ns - self._ahead_ns:
            return False
        self.need = Need.AHEAD if now_ns < expires_ns else Need.NOW
        return True

    def denied(self) -> bool:
        """Note that the venue does not take the token; return whether another can be had.

        A token made a moment ago and not taken even once is not mended by making one more.
        """
        if not self._renewable or self._is_untried:
            return False
        self.need = Need.NOW
        return True

    def take(self, pair: TokenPair, *, renewed: bool) -> None:
        """Use another token from now on."""
        self.pair, self.need, self.refusal = pair, None, None
        self._ahead_ns, self._is_untried = None, renewed

    def accepted(self) -> None:
        """Note that the venue has taken the token."""
        self._is_untried = False
