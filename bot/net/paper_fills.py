"""The venue's part in a dry run: a Decision's orders filled on paper, as the events a venue would have sent."""

from bot.engine.decision import Decision
from bot.engine.engine import Engine
from bot.engine.events import Event, ExecutionReported
from bot.execution.paper import PaperVenue
from bot.execution.requests import ClosePosition, PlaceOrder


def paper_events(paper: PaperVenue, engine: Engine, decision: Decision) -> list[Event]:
    """Return what becomes of a Decision's orders, filled against the engine's books of this moment."""
    events: list[Event] = []
    books = engine.books
    if books is None:
        return events
    for request in decision.requests:
        if not isinstance(request, PlaceOrder | ClosePosition):
            continue
        index, spec = next((i, spec) for i, spec in enumerate(engine.specs) if spec.symbol_id == request.symbol_id)
        for report in paper.execute(request, spec, books, index, decision.now_ns):
            events.append(
                ExecutionReported(
                    recv_ns=decision.now_ns,
                    kind=report.kind,
                    client_order_id=report.client_order_id,
                    order=report.order,
                    deal=report.deal,
                    error_code=report.error_code,
                    paper=True,
                )
            )
    return events
