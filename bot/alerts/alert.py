"""An alert: one short message about a run."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "success", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One message, and what it has to do with others.

    `event` is one of the config's `alerts.events`. `key` says what it is about: of the same key within a while is the
    same news. `lasts` says that it tells of a trouble that stands until another alert names its key in `ends`; that
    one is of interest to whoever was told of the beginning.
    Units: `time_ns` when it happened, ns since the epoch.   Missing: `symbol` None for the account.
    """

    event: str
    key: str
    severity: Severity
    title: str
    text: str
    time_ns: int
    symbol: str | None = None
    lasts: bool = False
    ends: tuple[str, ...] = ()
