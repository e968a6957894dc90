"""Whatever befalls a conversation, each request has one outcome, the limits hold, and READY is reached in the end."""

from collections import Counter
from typing import Any

import pytest
from faulty_link import ACCOUNT_END, APPLICATION_END, TOKEN_END, Fate, FaultyLink
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_venue import SECOND, build
from standing import TRADING
from test_transition_codes import CODES, LETTERS, SHAPES
from test_translate import place, wire_deal, wire_order

from bot.ctrader.correlation import Outcome
from bot.ctrader.phases import Phase
from bot.ctrader.ratelimit import is_historical
from bot.ctrader.schema import envelope, payload_type
from bot.engine.events import ExecutionReported, OrderHistoryListed, ReadinessChanged, RequestRefused
from bot.execution.requests import CancelOrder, ClosePosition, ResolveOrders, ResubscribeDepth

EURUSD = 11
# Nothing is repeated after these, so they are kept for a property of their own.
GRAVE = tuple(code for code, letter in LETTERS.items() if letter == "F")
MILD = tuple(code for code in LETTERS if code not in GRAVE)
SLOWING = ("BLOCKED_PAYLOAD_TYPE", "REQUEST_FREQUENCY_EXCEEDED", "SERVER_IS_UNDER_MAINTENANCE")
RECOVERY_S = 900  # several patiences, pauses and maintenances on end

Step = tuple[bool, list[Fate], tuple[str, Any], float]

delays = st.sampled_from([0.0, 0.001, 0.3, 2.0, 14.9, 15.1, 40.0])


def fates(codes: tuple[str, ...]) -> st.SearchStrategy[Fate]:
    pauses = st.sampled_from([0, 1, 7, 70])
    refused = st.builds(Fate, st.just("error"), delays, st.sampled_from(codes), st.sampled_from(SHAPES), pauses)
    slowed = st.builds(Fate, st.just("error"), delays, st.sampled_from(SLOWING), st.just(SHAPES[0]), pauses)
    return st.one_of(
        st.just(Fate()),
        st.builds(lambda d: Fate("late", d), delays),
        st.just(Fate("lost")),
        st.builds(lambda d: Fate("twice", d), delays),
        refused,
        slowed,
        st.builds(lambda n, b: Fate("garbled", at=n, bits=b), st.integers(0, 200), st.integers(1, 255)),
    )


def contents(codes: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """Build what a venue may say unasked."""
    fixed = [
        ACCOUNT_END,
        TOKEN_END,
        APPLICATION_END,
        build("SymbolChangedEvent", symbolId=[EURUSD]),
        build("SpotEvent", symbolId=EURUSD, bid=5),
        build("ExecutionEvent", executionType=3, deal=wire_deal(), order=wire_order(orderId=3)),
    ]
    return st.one_of(
        st.sampled_from([envelope(content) for content in fixed]),
        st.builds(lambda c, s: envelope(build(s, errorCode=c)), st.sampled_from(codes), st.sampled_from(SHAPES)),
        st.binary(max_size=12),
    )


def operations(codes: tuple[str, ...]) -> st.SearchStrategy[list[Step]]:
    """Build what happens: whether READY is awaited first, the fates of the next requests, one act, and a pause."""
    act = st.one_of(
        st.tuples(st.just("drop"), st.sampled_from([0.0, 1.0, 30.0])),
        st.tuples(st.just("say"), contents(codes)),
        st.tuples(st.just("lose the account"), st.integers(1, 4)),
        st.tuples(st.just("trade"), st.integers(1, 3)),
        st.tuples(st.just("burst"), st.integers(10, 70)),
        st.tuples(st.just("renew depth"), st.sampled_from([EURUSD, 12])),
        st.tuples(st.just("resolve"), st.integers(1, 3)),
        st.tuples(st.just("token"), st.sampled_from(["renew", "use"])),
    )
    pauses_s = st.sampled_from([1.0, 0.0, 0.001, 0.4, 5.0, 16.0, 61.0])
    step = st.tuples(st.booleans(), st.lists(fates(codes), max_size=6), act, pauses_s)
    return st.lists(step, min_size=1, max_size=12)


class Case:
    """A conversation, the trades that were asked for in it, and the judges."""

    def __init__(self, steps: list[Step]) -> None:
        self.link = FaultyLink()
        self.trades: dict[str, str] = {}  # our id -> what the wire shows of it
        for is_patient, laid_out, act, pause_s in steps:
            if is_patient:
                self.link.run_until_ready(RECOVERY_S)
            self.link.fates.extend(laid_out)
            self.act(*act)
            self.link.run(pause_s)
            self.judge_books()

    def act(self, name: str, detail: Any) -> None:
        link = self.link
        match name:
            case "trade":
                self.submit_trades(detail)
            case "burst":
                for n in range(detail):
                    self.submit_trades(1 + n % 3)
            case "renew depth":
                link.submit(ResubscribeDepth(detail))
            case "resolve":
                for _ in range(detail):
                    link.submit(ResolveOrders(link.now_ns - 5 * SECOND))
            case "drop":
                link.drop(detail)
            case "lose the account":
                for _ in range(detail):
                    link.give(envelope(ACCOUNT_END))
            case "say":
                link.give(detail)
            case "token":
                link.step(detail)

    def submit_trades(self, kind: int) -> None:
        number = 1000 + len(self.trades)
        own_id = f"trade-{number}"
        wire_key = own_id if kind == 1 else str(number)
        request = {
            1: place(client_order_id=own_id),
            2: ClosePosition(own_id, EURUSD, number, 500),
            3: CancelOrder(own_id, EURUSD, number),
        }[kind]
        self.trades[own_id] = wire_key
        self.link.submit(request)

    def finish(self) -> None:
        """Let the venue behave and everything come to its end; then judge."""
        link = self.link
        link.fates.clear()
        is_ready = link.run_until_ready(RECOVERY_S)
        assert is_ready or link.session.fatal is not None, (link.session.phase, link.session.wants_disconnect)
        link.run(320)
        self.judge_errands()
        self.judge_books()
        self.judge_trades()
        judge_limits(link)
        judge_heartbeats(link)
        assert link.session.fatal is not None or link.session.ready
        assert len(link.session.requests) == 0, "nothing is waited for without an end"

    def judge_errands(self) -> None:
        """Judge that nothing of the past keeps a history or a renewal of depth from being asked for."""
        link = self.link
        asked, told = len(link.sent), len(link.told)
        if link.session.fatal is None:
            link.submit(ResolveOrders(link.now_ns - 5 * SECOND))
            link.submit(ResubscribeDepth(EURUSD))
            link.run(20)
            assert any(isinstance(event, OrderHistoryListed) for _, event in link.told[told:])
            assert "ProtoOASubscribeDepthQuotesReq" in {sent.name for sent in link.sent[asked:]}

    def may_be_fatal(self) -> bool:
        """Return whether mild faults can have come to an end: lies of a garbled reply, a new token refused at once."""
        names = {sent.name for sent in self.link.sent}
        is_refused = bool(self.link.refused_codes & set(CODES["T"].split()))
        return bool(self.link.garbled_ids) or (is_refused and "ProtoOARefreshTokenReq" in names)

    def judge_books(self) -> None:
        link, requests = self.link, self.link.session.requests
        ids = [s.message_id for s in link.sent if s.message_id]
        assert len(set(ids)) == len(ids), "a message id was used twice"
        on_wire = sum(requests.get(message_id) is not None for message_id in ids)
        outcomes = requests.outcomes
        assert requests.registered_count == len(requests) + sum(outcomes.values())
        assert outcomes[Outcome.NOT_SENT] == requests.registered_count - len(ids) - (len(requests) - on_wire)
        assert outcomes[Outcome.ANSWERED] + outcomes[Outcome.REFUSED] <= len(link.answered_ids)
        for sent in link.sent:
            assert sent.is_ready or sent.name not in TRADING, "a trade left a session that was not READY"
        for n in {s.link for s in link.sent}:
            assert next(s.name for s in link.sent if s.link == n) == "ProtoOAApplicationAuthReq"

    def judge_trades(self) -> None:
        link = self.link
        received = Counter(link.trade_key(s) for s in link.sent if s.name in TRADING)
        left = {link.trade_key(s): s for s in link.sent if s.name in TRADING}
        drops_ns = [t for t, e in link.told if isinstance(e, ReadinessChanged) and "disconnected" in e.reasons]
        for own_id, wire_key in self.trades.items():
            refusals = [e for _, e in link.told if isinstance(e, RequestRefused) and e.client_order_id == own_id]
            executions = [e for _, e in link.told if isinstance(e, ExecutionReported) and e.client_order_id == own_id]
            assert len(refusals) <= 1, "a trade is refused once"
            if received[wire_key] == 0:
                (refusal,) = refusals
                assert refusal.error_code in ("NOT_READY", "NOT_SENT", "BLOCKED_PAYLOAD_TYPE")
                assert not refusal.outcome_unknown
                assert not executions
                continue
            assert received[wire_key] == 1, "a trade is sent once"
            assert not any(e.error_code in ("NOT_READY", "NOT_SENT") for e in refusals), "it did leave"
            if left[wire_key].message_id in link.garbled_ids:
                continue  # what it said was not what the venue meant
            is_unknown = any(t >= left[wire_key].time_ns for t in drops_ns)
            assert refusals or executions or is_unknown, f"nobody told what became of {own_id}"
            assert not (refusals and executions) or refusals[0].error_code == "TIMEOUT"


def judge_limits(link: FaultyLink) -> None:
    """Judge the windows over all connections, and that what is blocked stays back."""
    times = [s.time_ns for s in link.sent]
    historical = [s.time_ns for s in link.sent if is_historical(payload_type(s.name))]
    for limit, row in ((50, times), (5, historical)):
        for first, over in zip(row, row[limit:], strict=False):
            assert over - first > SECOND, f"more than {limit} in a second"
    for hold in link.holds:
        early = [s for s in link.sent if s.name == hold.name and hold.from_ns < s.time_ns < hold.until_ns]
        assert not early, f"{hold.name} left during its block"


def judge_heartbeats(link: FaultyLink) -> None:
    """Judge that a link was never idle for more than 10 s: what was sent on it leaves no longer gap."""
    for a, b in zip(link.sent, link.sent[1:], strict=False):
        assert a.link != b.link or b.time_ns - a.time_ns <= 10 * SECOND


@given(operations(MILD))
@settings(max_examples=80)
def test_no_fault_loses_or_doubles_an_outcome_and_ready_is_reached_again(steps: list[Step]) -> None:
    case = Case(steps)
    case.finish()
    assert case.link.session.fatal is None or case.may_be_fatal(), case.link.session.fatal


@given(operations(GRAVE + MILD))
@settings(max_examples=15)
def test_what_is_fatal_ends_the_conversation_with_every_trade_accounted_for(steps: list[Step]) -> None:
    case = Case(steps)
    case.finish()
    if case.link.session.fatal is not None:
        assert case.link.session.phase is Phase.CLOSED
        count = len(case.link.sent)
        case.link.run(60)
        assert len(case.link.sent) == count, "it is over"


@pytest.mark.slow
@given(operations(MILD))
@settings(max_examples=600)
def test_no_fault_loses_or_doubles_an_outcome_in_many_more_conversations(steps: list[Step]) -> None:
    case = Case(steps)
    case.finish()
    assert case.link.session.fatal is None or case.may_be_fatal(), case.link.session.fatal


def test_the_judges_have_something_to_judge() -> None:
    """Without this the property could hold because nothing ever happens in it."""
    blocked = Fate("error", 0.0, "BLOCKED_PAYLOAD_TYPE", SHAPES[0], 7)
    case = Case(
        [
            (True, [], ("trade", 1), 1.0),
            (True, [blocked], ("resolve", 1), 1.0),
            (True, [], ("burst", 70), 0.0),
        ]
    )
    case.finish()
    link = case.link
    assert [hold.name for hold in link.holds] == ["ProtoOAOrderListReq"]
    assert sum(s.name in TRADING for s in link.sent) >= 40
    assert any(isinstance(e, RequestRefused) and e.error_code == "NOT_SENT" for _, e in link.told)
    assert any(s.name == "ProtoHeartbeatEvent" for s in link.sent)
