"""What must be on disk before a byte leaves: a new access token, and in the ledger the intent of every order.

What came of it (states, deals, refusals, the account's figures once a minute) goes to the ledger when the bytes are
gone: no order waits for it, and a ledger that fails there ends the run all the same.
"""

from bot.config import ConfigError
from bot.engine.decision import Decision
from bot.engine.engine import Engine
from bot.journal.ledger import Ledger, LedgerError
from bot.net.aftermath import aftermath
from bot.net.intents import keep_intents
from bot.net.outcome import EXIT_FAILED, Outcome
from bot.net.token_keeper import TokenKeeper, not_stored

_SAMPLE_EVERY_NS = 60_000_000_000
_MEMORY_EVERY_NS = 5_000_000_000  # while only figures move: a crash costs the loss limits no more than that


class Safekeeping:
    """The ledger and the token keeper of a run, either of which may be missing."""

    def __init__(self, engine: Engine, run_id: str, ledger: Ledger | None, keeper: TokenKeeper | None) -> None:
        self._engine = engine
        self._run_id = run_id
        self._ledger = ledger
        self._keeper = keeper
        self._sample_due_ns = 0
        self._memory_due_ns = 0
        self._memory_version = self._wishes_version = -1
        self._account: tuple[int, str] | None = None

    def keep(self, decision: Decision) -> Outcome | None:
        """Put on disk what has to be there; return how the run is to end, sending nothing more, when that fails."""
        try:
            if self._keeper is not None:
                self._keeper.keep_fresh()
            if self._ledger is not None:
                if decision.intended and self._engine.wishes_version != self._wishes_version:
                    # What an order of its owner was to be has to be there before it is cut.
                    self._remember_changes(self._ledger, decision.now_ns)
                keep_intents(self._ledger, decision, self._engine, self._run_id)
        except ConfigError as error:
            return Outcome(EXIT_FAILED, not_stored(error))
        except LedgerError as error:
            return Outcome(EXIT_FAILED, f"stopped before sending: {error}")
        return None

    def keep_aftermath(self, decision: Decision) -> Outcome | None:
        """Put on disk what came of a decision whose bytes are gone; return how the run is to end when that fails."""
        ledger = self._ledger
        if ledger is None:
            return None
        try:
            self._remember(ledger, decision.now_ns)
        except LedgerError as error:
            return Outcome(EXIT_FAILED, f"stopped: {error}")
        if decision.is_quiet and decision.now_ns < self._sample_due_ns:
            return None
        is_due = bool(decision.deals) or decision.now_ns >= self._sample_due_ns
        sampled = is_due and self._engine.portfolio.balance is not None
        if sampled:
            self._sample_due_ns = decision.now_ns + _SAMPLE_EVERY_NS
        try:
            self._remember_account(ledger)
            ledger.record(aftermath(decision, self._engine, self._run_id, sampled=sampled))
        except LedgerError as error:
            return Outcome(EXIT_FAILED, f"stopped: {error}")
        return None

    def _remember(self, ledger: Ledger, now_ns: int) -> None:
        """Write down what the next run is to know: a halt at once, the figures of the loss limits every few seconds."""
        if now_ns < self._memory_due_ns:
            self._remember_changes(ledger, now_ns)
        elif self._engine.account is not None:
            self._write_memory(ledger, now_ns)

    def _remember_changes(self, ledger: Ledger, now_ns: int) -> None:
        if self._engine.account is not None and self._engine.memory_version != self._memory_version:
            self._write_memory(ledger, now_ns)

    def _write_memory(self, ledger: Ledger, now_ns: int) -> None:
        self._memory_version, self._memory_due_ns = self._engine.memory_version, now_ns + _MEMORY_EVERY_NS
        self._wishes_version = self._engine.wishes_version
        ledger.remember("guard", self._engine.guard_memory())
        ledger.remember("listed", {"to_ns": self._engine.listed_to_ns})

    def _remember_account(self, ledger: Ledger) -> None:
        """Write down whose ledger it is, and in which currency: a report has nothing else to go by."""
        account = self._engine.account
        if account is not None and self._account != (account.account_id, account.deposit_asset):
            self._account = account.account_id, account.deposit_asset
            ledger.remember("account", {"account_id": account.account_id, "deposit_currency": account.deposit_asset})

    @property
    def awaits_token(self) -> bool:
        """Whether a new token is on its way: it would be lost with the run."""
        return self._keeper is not None and self._keeper.is_asking

    def look_for_token(self) -> None:
        """Let the keeper see whether the session wants another token."""
        if self._keeper is not None:
            self._keeper.look()

    def close(self) -> None:
        """Put both away."""
        if self._keeper is not None:
            self._keeper.close()
        if self._ledger is not None:
            self._ledger.close()
