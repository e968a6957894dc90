"""Who we are to the venue: scope, account, kind, access rights, and how the account is made."""

from typing import Any

from bot.ctrader.account_login import check_kind, choose_account, kind_of, log_in
from bot.ctrader.enquiry import EnquiryFailed, EnquiryRefused, Script, Timed, failure_of
from bot.ctrader.granted_accounts import granted_accounts
from bot.ctrader.schema import message
from bot.ctrader.translate import account_state
from bot.ctrader.translate import text as readable
from bot.doctor.facts import Facts
from bot.doctor.findings import EXIT_NOT_AUTHORISED, EXIT_USAGE


class CannotGoOn(Exception):
    """A check has failed without which no other makes sense; it is noted already."""


def check_access(facts: Facts) -> Script[None]:
    """Check the token, the account and its session.

    Raises: CannotGoOn; EnquiryFailed (2) when orders or provocations are wanted on an account not known to be a demo.
    """
    findings, plan = facts.findings, facts.plan
    findings.check("connection", "ok", "connected; the certificate leads to a trusted root and names the host")
    findings.check("application", "ok", "client id and secret are accepted")
    version = yield [message("ProtoOAVersionReq")()]
    if not isinstance(version[0], EnquiryRefused):
        findings.seen("venue_version", version[0].version, f"the venue states version {version[0].version}")
    try:
        grant = yield from granted_accounts(plan.access_token)
    except EnquiryRefused as refused:
        raise _failed(facts, "token", failure_of(refused)) from None
    facts.all_accounts, facts.scope = grant.accounts, grant.scope
    findings.check("token", "ok", f"accepted; it grants {len(grant.accounts)} account(s)", len(grant.accounts))
    _check_scope(facts)
    try:
        account = choose_account(grant, plan.account_id)
    except EnquiryFailed as failed:
        raise _failed(facts, "account", failed) from None
    facts.account = account
    findings.check(
        "account", "ok", f"account {account.account_id} is in the grant, {kind_of(account)}", kind_of(account)
    )
    try:
        check_kind(account, plan.environment)
    except EnquiryFailed as failed:
        raise _failed(facts, "kind", failed) from None
    if account.kind is None:
        text = "the venue does not say whether the account is demo or live; it is on the environment's host at least"
        findings.check("kind", "unknown", text)
    else:
        findings.check("kind", "ok", f"a {account.kind} account in environment {plan.environment}", account.kind)
    wanted = {"--demo-orders": plan.orders_tag is not None, "--provoke": plan.provoke}
    flags = " ".join(flag for flag, is_wanted in wanted.items() if is_wanted)
    if flags and account.kind != "demo":
        text = f"{flags}: account {account.account_id} is {kind_of(account)}, not demo; nothing of it was done"
        raise EnquiryFailed(EXIT_USAGE, text)
    try:
        yield from log_in(account.account_id, plan.access_token)
    except EnquiryRefused as refused:
        raise _failed(facts, "session", failure_of(refused)) from None
    findings.check("session", "ok", "the account's session is open")


def load_lists(facts: Facts) -> Script[None]:
    """Ask for the account's own data and the broker's lists, at once, and check the account."""
    requests = [facts.ask(name) for name in ("Trader", "AssetList", "SymbolsList", "Reconcile")]
    answers = yield Timed(*requests)
    for answer in answers:
        if isinstance(answer.reply, EnquiryRefused):
            raise _failed(facts, "account", failure_of(answer.reply))
    trader, assets, symbols, held = (answer.reply for answer in answers)
    facts.trader = trader.trader
    facts.catalogue.add_assets(assets.asset)
    facts.catalogue.add_symbols(symbols.symbol)
    facts.catalogue.deposit_asset_id = facts.trader.depositAssetId
    facts.positions = list(held.position)
    in_order = [answer.place for answer in answers] == sorted(answer.place for answer in answers)
    said = "in the order of the requests" if in_order else "in another order than the requests"
    facts.findings.seen("answers_in_order", in_order, f"{len(answers)} requests in flight were answered {said}")
    _check_account(facts)


def _check_scope(facts: Facts) -> None:
    findings = facts.findings
    if facts.scope is None:
        findings.check("scope", "unknown", "the venue does not state the token's scope")
    elif facts.scope == "trade":
        findings.check("scope", "ok", "the token may trade", "trade")
    elif facts.plan.trade or facts.plan.orders_tag is not None:
        text = "the token has view scope, which cannot trade; run `microlev auth login` with the trading scope"
        findings.check("scope", "fail", text, "view", exit_code=EXIT_NOT_AUTHORISED)
    else:
        findings.check("scope", "ok", "the token has view scope, which is enough for a dry run", "view")


def _check_account(facts: Facts) -> None:
    findings, trader = facts.findings, facts.trader
    state = account_state(trader, facts.catalogue.asset_names, None)
    broker = readable(trader.brokerName) or (facts.account.broker if facts.account else None)
    if broker:
        findings.check("broker", "ok", f"the broker calls itself {broker}", broker)
    else:
        findings.check("broker", "unknown", "the venue names no broker")
    kind = state.account_type
    result: Any = "ok" if kind in ("HEDGED", "NETTED") else "fail"
    means = {"HEDGED": "several positions a symbol", "NETTED": "one position a symbol"}
    findings.check(
        "account_type", result, f"{kind}: {means.get(kind, 'not supported: the bot would only reduce')}", kind
    )
    _check_rights(facts, state.access_rights)
    if state.leverage is None:
        findings.check("leverage", "fail", "the broker states no leverage of the account: margin cannot be computed")
    else:
        text = f"1:{state.leverage:g}, sides of a symbol joined by {state.margin_calculation}"
        findings.check("leverage", "ok", text, state.leverage)
    if state.is_limited_risk:
        text = "guaranteed stop (limited risk) accounts are not supported by this version: the bot would only reduce"
        findings.check("limited_risk", "fail", text)
    known = trader.depositAssetId in facts.catalogue.asset_names
    findings.check(
        "deposit_currency",
        "ok" if known else "fail",
        state.deposit_asset if known else f"asset {trader.depositAssetId} is not in the broker's asset list",
        state.deposit_asset,
    )
    digits = int(trader.moneyDigits) if trader.HasField("moneyDigits") else None
    said = f"stated, {digits}" if digits is not None else "absent; the bot takes 2"
    findings.seen("money_digits.trader", digits, f"moneyDigits of the account: {said}")


def _check_rights(facts: Facts, rights: str) -> None:
    findings = facts.findings
    wants_orders = facts.plan.trade or facts.plan.orders_tag is not None
    if rights == "FULL_ACCESS":
        findings.check("access_rights", "ok", "full access", rights)
    elif rights == "NO_LOGIN":
        text = "the broker does not let this account log in; ask the broker"
        findings.check("access_rights", "fail", text, rights, exit_code=EXIT_NOT_AUTHORISED)
    elif rights == "CLOSE_ONLY":
        findings.check("access_rights", "warn", "positions may only be closed; ask the broker", rights)
    else:
        text = "the account may not trade, and its stops may not act either; ask the broker"
        findings.check("access_rights", "fail" if wants_orders else "warn", text, rights, exit_code=EXIT_NOT_AUTHORISED)


def _failed(facts: Facts, name: str, failed: EnquiryFailed) -> CannotGoOn:
    facts.findings.check(name, "fail", failed.text, exit_code=failed.exit_code)
    return CannotGoOn(failed.text)
