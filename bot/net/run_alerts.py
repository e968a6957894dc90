"""The alerts of every run of a process: who is told is known before anything starts, and heard of to the very end."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from bot.config import ClientSecrets, Config
from bot.ctrader.session import Session
from bot.engine.decision import Decision
from bot.engine.observed import ObservedEngine
from bot.net.alert_channel import AlertChannel
from bot.net.alerting import Alerting, Beside, alerting, close_all
from bot.net.apprise_url import apprise_urls
from bot.net.outcome import Outcome

End = TypeVar("End")


class RunAlerts:
    """Opens the channels of some configs.

    Raises: ConfigError, without a URL, for one that apprise does not understand, or when there is no apprise.
    """

    def __init__(self, configs: Sequence[Config]) -> None:
        self._channels = [
            (config, [AlertChannel(url.name, url.deliver) for url in apprise_urls(config)]) for config in configs
        ]
        self._alertings: dict[Session, Alerting] = {}

    def watchers(
        self,
        config: Config,
        session: Session,
        engine: ObservedEngine,
        client: ClientSecrets,
        beside: Beside,
        *,
        ledger_path: Path | None,
        name: str,
    ) -> list[Callable[[Decision], None]]:
        """Return what is to see every Decision of a run; nothing where its config names nobody to tell."""
        channels = next((given for of, given in self._channels if of is config), [])
        if not channels:
            return []
        made = alerting(config, session, engine, client, beside, channels, ledger_path=ledger_path, name=name)
        self._alertings[session] = made
        return [made]

    def follow(self, run: "Deferred[End]", session: Session) -> "Deferred[End]":
        """Tell of the end of a run, if it was not a person who ended it; return the run as it is."""

        def over(end: Any) -> Any:
            made = self._alertings.get(session)
            if made is not None and isinstance(end, Failure):
                made.failed(end.type.__name__ if end.type is not None else "?")
            elif made is not None and isinstance(end, Outcome):
                made.ended(end)
            return end

        return run.addBoth(over)

    def close(self) -> None:
        """Give what is on its way a moment; call it when everything else has ended."""
        close_all(self._alertings.values())
