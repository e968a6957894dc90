"""The alerts of one run: its Decisions to rules, what they tell to the pacing, what is due to every channel.

How it works: a watcher of Decisions in the run's own thread, which only looks, and hands messages to the channels'
threads. A day's report may want the ledger: that is read beside the run.

Invariants: decisions are the same with and without it; an error in here ends the alerts, which the channels are told,
and not the run.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from bot.alerts.alert import Alert
from bot.alerts.composer import Composer
from bot.alerts.day_rule import DayFigures, DealSums, sums_in
from bot.alerts.pacing import Pacing
from bot.alerts.redaction import Redaction
from bot.alerts.rules import AlertRules, RuleSettings
from bot.config import ClientSecrets, Config, state_directory
from bot.ctrader.session import Session
from bot.engine.decision import Decision
from bot.engine.observed import ObservedEngine
from bot.journal.broker_day import start_ns
from bot.journal.day_report import day_report
from bot.journal.ledger_file import LedgerError
from bot.journal.ledger_reader import read_span
from bot.net.alert_channel import AlertChannel, Message
from bot.net.alert_memory import AlertMemory
from bot.net.outcome import EXIT_DONE, EXIT_INTERRUPTED, Outcome

CLOSE_LIMIT_S = 2.0
_EVERY_NS = 1_000_000_000
_MINUTE_NS, _DAY_NS = 60_000_000_000, 86_400_000_000_000
_log = Logger()

Beside = Callable[[Callable[[], Any], Callable[[Any], None]], None]


class Alerting:
    """Alerts of one run, from its first Decision to `close`.

    Args: `beside` does a job beside the run and hands on its result; `read_deals` reads a day's deals, None where
        there is no ledger; `name` starts lines in the log.
    """

    def __init__(
        self,
        rules: AlertRules,
        pacing: Pacing,
        composer: Composer,
        channels: Sequence[AlertChannel],
        learn: Callable[[], None],
        memory: AlertMemory,
        beside: Beside,
        read_deals: Callable[[date], DealSums | None] | None,
        *,
        name: str = "",
    ) -> None:
        self._rules, self._pacing, self._composer = rules, pacing, composer
        self.channels = channels
        self._learn = learn
        self._memory = memory
        self._beside, self._read_deals = beside, read_deals
        self._name = name
        self._is_over = False
        self._now_ns = self._next_ns = 0

    def __call__(self, decision: Decision) -> None:
        """Take one Decision; a quiet one costs next to nothing."""
        if not self._is_over:
            self._guarded(lambda: self._look(decision))

    def ended(self, outcome: Outcome) -> None:
        """Tell of a run that has ended by itself; what a person has ended needs no message."""
        if outcome.exit_code not in (EXIT_DONE, EXIT_INTERRUPTED):
            self._last(lambda: self._rules.stopped(outcome.text, outcome.exit_code, self._now_ns))

    def failed(self, kind: str) -> None:
        """Tell of a run that an error of ours has ended. Args: `kind` of the error, without its text."""
        self._last(lambda: self._rules.failed(kind, self._now_ns))

    # -- in the run's thread ----------------------------------------------------------------------------------------

    def _look(self, decision: Decision) -> None:
        first, now_ns = not self._now_ns, decision.now_ns
        self._now_ns = now_ns
        if first:
            self._memory.read(now_ns)
        self._learn()
        alerts = self._rules.look(decision)
        for alert in alerts:
            self._pacing.take(alert, now_ns)
        for figures in self._rules.take_days_over():
            self._report(figures)
        if alerts or now_ns >= self._next_ns:
            self._send()

    def _last(self, say: Callable[[], Alert | None]) -> None:
        def tell() -> None:
            self._now_ns = self._now_ns or time.time_ns()  # it may have ended before it decided anything
            self._learn()
            alert = say()
            if alert is not None:
                self._pacing.take(alert, self._now_ns)
                self._send()

        if not self._is_over:
            self._guarded(tell)

    def _send(self) -> None:
        self._next_ns = self._now_ns + _EVERY_NS
        if self._pacing.is_idle:
            return
        paced = self._pacing.due(self._now_ns)
        for each in paced:
            alert = each.alert or self._composer.count(each.not_sent, self._now_ns)
            title, text = self._composer.with_count(alert, each.not_sent if each.alert is not None else 0)
            self._put(Message(title, text, alert.severity))
        if paced:
            self._memory.write()

    def _put(self, message: Message) -> None:
        for channel in self.channels:
            channel.put(message)

    def _report(self, figures: DayFigures) -> None:
        read = self._read_deals

        def read_it() -> DealSums | None:
            return None if read is None else read(figures.day)

        def tell(deals: DealSums | None) -> None:
            is_whole = deals is not None
            alert = self._rules.report(figures, figures.deals if deals is None else deals, is_whole=is_whole)
            if alert is not None and not self._is_over:
                self._pacing.take(alert, self._now_ns)
                self._send()

        self._beside(read_it, lambda deals: self._guarded(lambda: tell(deals)))

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:
            self._is_over = True
            _log.failure("{name}an error of ours has ended the alerts; the run goes on", name=self._name)
            broken = self._rules.broken(self._now_ns)
            self._put(Message(broken.title, broken.text, broken.severity))


def close_all(alertings: Iterable[Alerting]) -> None:
    """Give every channel of some runs a moment to deliver what it has: two seconds for all of them together."""
    channels = [channel for alerting in alertings for channel in alerting.channels]
    until_s = time.monotonic() + CLOSE_LIMIT_S
    for channel in channels:
        channel.close()
    for channel in channels:
        channel.wait(until_s - time.monotonic())


def run_composer(config: Config, redaction: Redaction) -> Composer:
    """Return who composes the messages of a run."""
    return Composer(
        config.alerts.language,
        redaction,
        account=config.account.id,
        environment=config.venue.environment,
        mode=config.mode,
    )


def alerting(
    config: Config,
    session: Session,
    engine: ObservedEngine,
    client: ClientSecrets,
    beside: Beside,
    channels: Sequence[AlertChannel],
    *,
    ledger_path: Path | None = None,
    name: str = "",
) -> Alerting:
    """Return the alerts of a run, as a watcher of its Decisions.

    Args: `ledger_path` is where its ledger is, None for a run that has none.
    """
    given, redaction = config.alerts, Redaction()
    redaction.learn([client.client_id, client.client_secret])
    for url in given.urls:
        redaction.learn_url(url.get_secret_value())
    known: list[object] = []

    def learn() -> None:
        pair = session.token.pair
        if not known or known[-1] is not pair:
            known[:] = [pair]
            redaction.learn([pair.access_token, pair.refresh_token])

    composer = run_composer(config, redaction)
    settings = RuleSettings(
        events=frozenset(given.events),
        symbols=frozenset(config.symbols),
        crisis_level=given.crisis_level,
        heeds_crisis=config.effective_sizing().crisis,
        disconnected_ns=round(given.disconnected_s * 1e9),
        token_expiry_ns=round(given.token_expiry_days * _DAY_NS),
        max_drawdown_frac=config.risk.max_drawdown_frac,
    )
    pacing = Pacing(round(given.repeat_minutes * _MINUTE_NS), given.max_per_hour)

    def tell(text: str) -> None:
        _log.warn("{name}{text}", name=name, text=text)

    return Alerting(
        AlertRules(settings, session, engine, composer),
        pacing,
        composer,
        channels,
        learn,
        AlertMemory(state_directory(config), pacing, tell),
        beside,
        None if ledger_path is None else lambda day: day_deals(ledger_path, day),
        name=name,
    )


def day_deals(path: Path, day: date) -> DealSums | None:
    """Return the sums of a broker day's deals by a ledger; None when it cannot be read."""
    to_ns = start_ns(date.fromordinal(day.toordinal() + 1))
    try:
        return sums_in(day_report(read_span(path, start_ns(day), to_ns), day, day, to_ns))
    except LedgerError as error:
        _log.warn("the day's report goes by what this run has seen: {error}", error=str(error))
        return None
