"""The three margin-call notices of an account: thresholds that can be set, told at most once in ten minutes each."""

from typing import Any

from bot.ctrader.schema import enum, message
from bot.sim.entities import Refused

_QUIET_NS = 600_000_000_000


class MarginCalls:
    """Thresholds of the margin level in percent (100 = equity equals used margin), by notice type 61, 62, 63."""

    def __init__(self, account_id: int, now_ns: int) -> None:
        self._account_id = account_id
        types = sorted(enum("ProtoOANotificationType").values())
        self._thresholds = dict(zip(types, (100.0, 80.0, 60.0), strict=True))
        self._updated_ns = dict.fromkeys(types, now_ns)
        self._told_ns: dict[int, int] = {}

    def messages(self) -> list[Any]:
        """Return the ProtoOAMarginCall of each type."""
        return [self._message(kind) for kind in self._thresholds]

    def update(self, margin_call: Any, now_ns: int) -> Any:
        """Set a threshold; return the ProtoOAMarginCallUpdateEvent.

        Raises: Refused for a threshold that is not positive.
        """
        if not margin_call.marginLevelThreshold > 0:
            raise Refused("INVALID_REQUEST", "marginLevelThreshold must be above 0")
        self._thresholds[margin_call.marginCallType] = margin_call.marginLevelThreshold
        self._updated_ns[margin_call.marginCallType] = now_ns
        return message("ProtoOAMarginCallUpdateEvent")(
            ctidTraderAccountId=self._account_id, marginCall=self._message(margin_call.marginCallType)
        )

    def check(self, margin_level: float | None, now_ns: int) -> list[Any]:
        """Return the ProtoOAMarginCallTriggerEvents that a margin level (a ratio) calls for now."""
        events = []
        for kind, threshold in self._thresholds.items():
            if margin_level is None or margin_level * 100 >= threshold:
                continue
            if kind in self._told_ns and now_ns - self._told_ns[kind] < _QUIET_NS:
                continue
            self._told_ns[kind] = now_ns
            events.append(
                message("ProtoOAMarginCallTriggerEvent")(
                    ctidTraderAccountId=self._account_id, marginCall=self._message(kind)
                )
            )
        return events

    def _message(self, kind: int) -> Any:
        return message("ProtoOAMarginCall")(
            marginCallType=kind,
            marginLevelThreshold=self._thresholds[kind],
            utcLastUpdateTimestamp=self._updated_ns[kind] // 1_000_000,
        )
