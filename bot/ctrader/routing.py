"""Which account an inbound frame is for, when several share one connection.

An answer goes to whoever asked: message ids start with the run id of their session. What nobody asked for goes to the
account it names. What names none (heartbeats, the end of the application's session, a list of accounts whose token is
gone) concerns everybody. Of plain market data the compiled reader knows the account.
"""

from collections.abc import Sequence
from typing import Protocol

from google.protobuf.message import DecodeError

from bot.ctrader.hotpath import HotPath
from bot.ctrader.schema import message, message_for


class Member(Protocol):
    """One account on the connection."""

    @property
    def run_id(self) -> str:
        """What its message ids start with."""

    @property
    def account_id(self) -> int | None:
        """The account; None until it is chosen."""


def share_out(bodies: Sequence[bytes], members: Sequence[Member], hot_path: HotPath) -> list[list[bytes]]:
    """Return, for each of `members`, the frames of a batch that are for it, in the order received."""
    shares: list[list[bytes]] = [[] for _ in members]
    seats = list(zip([member.account_id for member in members], shares, strict=True))
    for body, account_id in zip(bodies, hot_path.accounts(bodies), strict=True):
        if account_id:
            for member_id, share in seats:
                if member_id == account_id:
                    share.append(body)
        else:
            for i in recipients(body, members):
                shares[i].append(body)
    return shares


def recipients(body: bytes, members: Sequence[Member]) -> list[int]:
    """Return the positions in `members` of those a frame is for; a frame that cannot be read is for all of them."""
    everybody = list(range(len(members)))
    try:
        wrapper = message("ProtoMessage").FromString(body)
        message_id = str(wrapper.clientMsgId)
        asked = [i for i in everybody if message_id.startswith(f"{members[i].run_id}-")]
        kind = message_for(wrapper.payloadType)
        if asked or kind is None or "ctidTraderAccountId" not in kind.DESCRIPTOR.fields_by_name:
            return asked or everybody
        content = kind.FromString(wrapper.payload)
    except DecodeError:
        return everybody
    if not content.HasField("ctidTraderAccountId"):
        return everybody
    return [i for i in everybody if members[i].account_id == content.ctidTraderAccountId]
