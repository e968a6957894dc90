"""A venue with faults, and short ways to say when and what."""

from typing import Any

from venue_client import SECOND, Client, Desk

from bot.sim.faults.script import Fault, FaultScript, What, When

MS = 1_000_000


def bench(*faults: Fault, seed: int = 1, **options: Any) -> Desk:
    """A venue that plays these faults from its start."""
    return Desk(options={"faults": FaultScript(faults), "seed": seed, **options})


def at(seconds: float, what: What, **more: Any) -> Fault:
    return Fault(what, When(at_ns=round(seconds * SECOND)), **more)


def on_request(name: str, what: What, *, nth: int = 1, **more: Any) -> Fault:
    return Fault(what, When(on_request=(name,), nth=nth), **more)


def on_event(name: str, what: What, *, kind: str | None = None, nth: int = 1, **more: Any) -> Fault:
    return Fault(what, When(on_event=(name,), kinds=(kind,) if kind else (), nth=nth), **more)


def names(messages: list[tuple[str | None, Any]]) -> list[str]:
    return [body.DESCRIPTOR.name for _, body in messages]


def version(client: Client) -> list[tuple[str | None, Any]]:
    """The cheapest request there is, and what it brought, heartbeats aside."""
    return [got for got in client.send(VERSION) if got[1].DESCRIPTOR.name != "ProtoHeartbeatEvent"]


ANSWER = ["ProtoOAVersionRes"]
EXECUTION = "ProtoOAExecutionEvent"
ORDER = "ProtoOANewOrderReq"
VERSION = "ProtoOAVersionReq"
