"""No heartbeat on purpose: after how long does the venue close a connection on which it hears nothing?

Source: ProtoHeartbeatEvent, 10 s advised; the time after which an idle client is closed is not published.
"""

from bot.ctrader.conversation import Silence, Silent
from bot.ctrader.enquiry import EnquiryRefused, Script, Timed
from bot.ctrader.refusals import DISCONNECTED
from bot.ctrader.schema import message
from bot.doctor.facts import Facts

MEASURED = "idle_close_s"
LEAST_SILENCE_S = 30.0


def measure_silence(facts: Facts, seconds: float) -> Script[None]:
    """Send nothing for this long and see whether the link is closed. Afterwards it may be gone: this comes last."""
    if seconds < LEAST_SILENCE_S:
        text = f"not tried: needs --seconds {LEAST_SILENCE_S:.0f} or more; 120 and more see most"
        facts.findings.seen(MEASURED, None, text)
        return
    (answer,) = yield Timed(message("ProtoOAVersionReq")())
    if isinstance(answer.reply, EnquiryRefused) and answer.reply.code == DISCONNECTED:
        facts.findings.seen(MEASURED, None, "not seen: the connection was gone already")
        return
    left_s = seconds
    while left_s > 0:
        facts.on_progress(f"sending nothing at all: {seconds - left_s:.0f} of {seconds:.0f} s")
        silent: Silent = yield Silence(min(1.0, left_s))
        left_s -= 1.0
        if silent.why_lost is not None:
            after_s = (silent.ended_ns - silent.last_sent_ns) / 1e9
            text = f"{after_s:.1f} s after our last message the connection ended: {silent.why_lost}"
            facts.findings.seen(MEASURED, round(after_s, 1), text)
            return
    facts.findings.seen(MEASURED, None, f"still open after {seconds:.0f} s without a heartbeat of ours")
