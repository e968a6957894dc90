"""The venue's part in a dry run: a Decision's orders filled on paper, as the events a venue would have sent."""

from bot.account.position import Position
from bot.engine.decision import Decision
from bot.engine.engine import Engine
from bot.engine.events import Event, ExecutionReported, RequestRefused
from bot.execution.paper import PaperReport, PaperVenue
from bot.execution.requests import AmendOrder, CancelOrder, ClosePosition, PlaceOrder, ProtectPosition


def paper_venue(engine: Engine) -> PaperVenue:
    """Return the paper venue of an engine's account."""

    def merged(symbol_id: int) -> Position | None:
        if engine.account is None or engine.account.account_type != "NETTED":
            return None
        return next(iter(engine.portfolio.own_positions(symbol_id)), None)

    return PaperVenue(
        engine.portfolio.position,
        engine.quote_rate,
        merged=merged,
        find_order=engine.foreign_order,
        find_left=engine.left_order,
    )


def paper_events(paper: PaperVenue, engine: Engine, decision: Decision) -> list[Event]:
    """Return what becomes of a Decision's orders, and of those that rest, against the engine's books of this moment.

    What rests is matched first: a real venue knows of a price before we do, so what would have filled at it has.
    """
    books, specs = engine.books, engine.specs
    if books is None:
        return []
    index = {spec.symbol_id: i for i, spec in enumerate(specs)}
    changed = {specs[s].symbol_id: s for s in decision.rows["symbol"].tolist()}
    reports = paper.match(books, changed, decision.now_ns, specs)
    for request in decision.requests:
        match request:
            case PlaceOrder() | ClosePosition():
                s = index[request.symbol_id]
                reports += paper.execute(request, specs[s], books, s, decision.now_ns)
            case AmendOrder():
                reports += paper.amend(request, books, index[request.symbol_id], decision.now_ns)
            case ProtectPosition():
                s = index[request.symbol_id]
                reports += paper.protect(request, specs[s], books, s)
            case CancelOrder():
                reports += paper.cancel(request, decision.now_ns)
    return [_event(report, decision.now_ns) for report in reports]


def _event(report: PaperReport, now_ns: int) -> Event:
    if report.kind == "amend_rejected":
        return RequestRefused(now_ns, report.client_order_id, str(report.error_code), paper=True)
    return ExecutionReported(
        recv_ns=now_ns,
        kind=report.kind,
        client_order_id=report.client_order_id,
        order=report.order,
        deal=report.deal,
        position=report.position,
        error_code=report.error_code,
        paper=True,
    )
