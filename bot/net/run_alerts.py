"""The alerts of every run of a process: who is told is known before anything starts, and heard of to the very end."""

from collections.abc import Callable, Sequence

from twisted.python.failure import Failure

from bot.config import ClientSecrets, Config
from bot.ctrader.session import Session
from bot.engine.decision import Decision
from bot.engine.observed import ObservedEngine
from bot.journal.ledger import Ledger
from bot.net.alert_channel import AlertChannel
from bot.net.alerting import Alerting, Beside, alerting, close_all
from bot.net.apprise_url import apprise_urls
from bot.net.outcome import Outcome


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
        ledger: Ledger | None,
        name: str,
    ) -> list[Callable[[Decision], None]]:
        """Return what is to see every Decision of a run; nothing where its config names nobody to tell."""
        channels = next((given for of, given in self._channels if of is config), [])
        if not channels:
            return []
        path = None if ledger is None else ledger.path
        made = alerting(config, session, engine, client, beside, channels, ledger_path=path, name=name)
        self._alertings[session] = made
        return [made]

    def ended(self, session: Session, end: Outcome | Failure) -> None:
        """Tell of the end of a run, if it was not a person who ended it."""
        made = self._alertings.get(session)
        if made is not None and isinstance(end, Failure):
            made.failed(end.type.__name__ if end.type is not None else "?")
        elif made is not None:
            made.ended(end)

    def close(self) -> None:
        """Give what is on its way a moment; call it when everything else has ended."""
        close_all(self._alertings.values())
