"""The handshake as a table: phase -> replies awaited -> next phase.

A phase is left when every request it sent has been answered. Requests of one phase do not depend on each other and go
out together; a phase with nothing to ask is passed at once. Every connection starts at APPLICATION_AUTH; losing only
the account's session starts again at ACCOUNT_AUTH. There is no second path (invariant 7: start = recover).
"""

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class Phase(Enum):
    """Where the session stands."""

    CLOSED = "closed"
    APPLICATION_AUTH = "application_auth"
    ACCOUNT_LIST = "account_list"
    ACCOUNT_AUTH = "account_auth"
    CATALOGUE = "catalogue"
    DETAILS = "details"
    CHAIN_DETAILS = "chain_details"
    TIERS = "tiers"
    RECONCILE = "reconcile"
    SPOTS = "spots"
    DEPTH = "depth"
    READY = "ready"

    @property
    def needs_token(self) -> bool:
        """True where the venue is shown the access token."""
        return self in (Phase.ACCOUNT_LIST, Phase.ACCOUNT_AUTH)

    @property
    def has_account(self) -> bool:
        """True from the moment the account's session is asked for: events of the account may arrive."""
        return self not in (Phase.CLOSED, Phase.APPLICATION_AUTH, Phase.ACCOUNT_LIST)

    @property
    def has_symbols(self) -> bool:
        """True once the symbols of this connection have been told."""
        return self in (Phase.TIERS, Phase.RECONCILE) or self.has_spots

    @property
    def has_spots(self) -> bool:
        """True once spot quotes are asked for; the first may come before the reply."""
        return self in (Phase.SPOTS, Phase.DEPTH, Phase.READY)

    @property
    def has_depth(self) -> bool:
        """True once depth is asked for."""
        return self in (Phase.DEPTH, Phase.READY)


@dataclass(frozen=True, slots=True)
class Transition:
    """What a phase waits for and where it leads; `reason` is the readiness code shown meanwhile."""

    awaits: tuple[str, ...]
    next: Phase
    reason: str


# Application auth comes first: the venue answers anything before it with CH_CLIENT_NOT_AUTHENTICATED.
# Spots come before depth: the venue answers the other order with NOT_SUBSCRIBED_TO_SPOTS.
TRANSITIONS = MappingProxyType(
    {
        Phase.APPLICATION_AUTH: Transition(("ProtoOAApplicationAuthRes",), Phase.ACCOUNT_LIST, "authenticating"),
        Phase.ACCOUNT_LIST: Transition(
            ("ProtoOAVersionRes", "ProtoOAGetAccountListByAccessTokenRes"), Phase.ACCOUNT_AUTH, "authenticating"
        ),
        Phase.ACCOUNT_AUTH: Transition(("ProtoOAAccountAuthRes",), Phase.CATALOGUE, "authenticating"),
        Phase.CATALOGUE: Transition(
            ("ProtoOATraderRes", "ProtoOAAssetListRes", "ProtoOASymbolsListRes"), Phase.DETAILS, "loading_account"
        ),
        Phase.DETAILS: Transition(
            ("ProtoOASymbolByIdRes", "ProtoOASymbolsForConversionRes"), Phase.CHAIN_DETAILS, "loading_symbols"
        ),
        Phase.CHAIN_DETAILS: Transition(("ProtoOASymbolByIdRes",), Phase.TIERS, "loading_symbols"),
        Phase.TIERS: Transition(("ProtoOAGetDynamicLeverageByIDRes",), Phase.RECONCILE, "loading_symbols"),
        Phase.RECONCILE: Transition(("ProtoOAReconcileRes",), Phase.SPOTS, "reconciling"),
        Phase.SPOTS: Transition(("ProtoOASubscribeSpotsRes",), Phase.DEPTH, "subscribing"),
        Phase.DEPTH: Transition(("ProtoOASubscribeDepthQuotesRes",), Phase.READY, "subscribing"),
    }
)
