"""The head of the page: which account, how real, in what state, how fresh; and the ways to stop it."""

from bot.dashboard import formats
from bot.dashboard.panels.icon import icon
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node
from bot.dashboard.words.reasons import cause_text, reason_text

_LANGUAGES = (("en", "English"), ("ja", "日本語"))
COMMANDS = (("halt", "halt"), ("resume", "play"), ("flatten", "exit"))


def head(scene: Scene) -> Node:
    """Return the bar that stays on top: identity, freshness, equity, commands."""
    words, known = scene.words, scene.known
    equity = known.get("equity")
    shown = scene.figure("equity", equity, formats.money(equity, scene.currency), scene.currency)
    return node(
        "header",
        node("h1", "microlev", class_="brand"),
        node("div", _badges(scene), class_="badges"),
        node("div", _account(scene), _connection(scene), _age(scene), class_="facts"),
        node("div", node("span", words("equity"), class_="label"), shown, class_="equity"),
        None if scene.kind == "journal" else _commands(scene),
        node("nav", [_language(scene, *each) for each in _LANGUAGES], class_="languages", aria_label=words("language")),
        class_=f"head {'live' if is_real(scene) else ''}".rstrip(),
    )


def is_real(scene: Scene) -> bool:
    """Whether real money is at risk."""
    return scene.known.get("environment") == "live" and scene.kind == "live"


def _badges(scene: Scene) -> list[Node]:
    words, known = scene.words, scene.known
    badges = []
    if scene.kind == "journal":
        badges.append(node("span", icon("clock"), words("recorded"), class_="badge recorded", data_testid="recorded"))
    if (environment := known.get("environment")) is not None:
        text = words.code("environment", environment)
        is_live = environment == "live"
        if not is_live:
            text = words("no_real_money", environment=text)
        elif known.get("mode") == "trade":
            text = words("real_money", environment=text)
        badges.append(
            node(
                "span",
                icon("warning") if is_live else None,
                text,
                class_=f"badge environment {environment}",
                data_testid="environment",
                data_value=environment,
            )
        )
    if (mode := known.get("mode")) is not None:
        picture = icon("paper" if mode == "dry-run" else "exit")
        text = words.code("mode", mode)
        badges.append(node("span", picture, text, class_=f"badge mode {mode}", data_testid="mode", data_value=mode))
    return badges


def _account(scene: Scene) -> Node | None:
    known = scene.known
    if known.get("account_id") is None:
        return None
    kind = known.get("account_type")
    parts = [str(known["account_id"]), *([scene.words.code("account_type", kind)] if kind else [])]
    parts += [scene.currency] if scene.currency else []
    name = known.get("strategy")
    strategy = node("span", scene.words("strategy", name=name), class_="fact") if name else None
    account = node("span", scene.words("account", account=" · ".join(parts)), class_="fact", data_testid="account")
    return [account, strategy]


def _connection(scene: Scene) -> Node | None:
    words, known = scene.words, scene.known
    if "connected" not in known:
        return None
    is_up = known["connected"]
    since = words.span(known.get("connected_s"))
    text = words("connected", span=since or words("unknown")) if is_up else words("disconnected")
    last = known.get("last_error")
    title = words("last_error", time=formats.clock(last["time"]), text=last["text"]) if last else None
    picture = icon("link" if is_up else "unlink")
    kind = "fact" if is_up else "fact bad"
    return node("span", picture, text, class_=kind, title=title, data_testid="connection", data_value=str(is_up))


def _age(scene: Scene) -> Node:
    words, time = scene.words, scene.known.get("time")
    clock = scene.moment(time, words("utc", time=formats.clock(time) or words("unknown")))
    moment = str(scene.known.get("time_ns", ""))
    if scene.kind == "journal":
        return node("span", icon("clock"), clock, class_="fact", data_testid="age", data_time_ns=moment)
    age = words.span(scene.received_s)
    text = words("old", age=age or words("unknown")) if scene.is_old else words("age", age=age)
    kind = "fact bad" if scene.is_old else "fact"
    value = "" if scene.received_s is None else repr(scene.received_s)
    freshness = {"data_value": value, "data_time_ns": moment}
    return node("span", icon("clock"), clock, " · ", text, class_=kind, data_testid="age", **freshness)


def _commands(scene: Scene) -> Node:
    words = scene.words
    is_possible = scene.trouble is None and scene.snapshot is not None
    is_heard = is_possible or scene.trouble == "not_understood"  # it is there: whatever it says, it can be halted
    buttons = [
        node(
            "button",
            icon(picture),
            words(name),
            class_=f"command {name}",
            type="button",
            disabled=not (is_heard if name == "halt" else is_possible),
            data_act=f"ask:{name}",
            data_testid=f"command:{name}",
        )
        for name, picture in COMMANDS
    ]
    return node("div", buttons, class_="commands", role="group", aria_label=words("commands"))


def _language(scene: Scene, code: str, name: str) -> Node:
    is_this = scene.words.language == code
    return node("a", name, href=f"?lang={code}", lang=code, hreflang=code, aria_current="true" if is_this else None)


def standing(scene: Scene) -> Node:
    """Return what stands in the way: trouble of this page, readiness with its reasons, trading with its causes."""
    return node("div", _trouble(scene), _readiness(scene), _trading(scene), class_="standing", aria_live="polite")


def _trouble(scene: Scene) -> Node | None:
    words = scene.words
    if scene.trouble is None and not scene.is_old:
        return None
    text = words.code("trouble", scene.trouble) if scene.trouble is not None else words("no_news")
    is_counted = scene.trouble == "reading" and scene.read_frac is not None
    if is_counted:
        text = words("reading_so_far", text=text, frac=formats.percent(scene.read_frac))
    is_grave = scene.kind == "live" or scene.trouble == "unreadable"
    marked = words("values_are_old") if scene.is_old and scene.snapshot is not None else None
    return node(
        "div",
        icon("warning" if is_grave else "clock"),
        node("strong", text, class_="what"),
        node("span", marked) if marked else None,
        class_="banner bad" if is_grave else "banner quiet",
        # What counts on with every look is not read out with every look.
        role="alert" if is_grave else None,
        aria_live="off" if is_counted else None,
        data_testid="trouble",
        data_value=scene.trouble or "old",
    )


def _readiness(scene: Scene) -> Node | None:
    words, known = scene.words, scene.known
    if not known:
        return None
    is_ready, reasons = known.get("ready", False), known.get("reasons", [])
    texts = dict(zip(reasons, known.get("texts", []), strict=False))
    # A cause of the trading state stands among the reasons, too; it is told there, with since when.
    causes = {cause["code"] for cause in known.get("causes", ())}
    told = [reason_text(reason, texts.get(reason), words) for reason in reasons if reason not in causes]
    return node(
        "div",
        node(
            "span",
            icon("check" if is_ready else "clock"),
            words("ready") if is_ready else words("not_ready"),
            class_=f"state {'good' if is_ready else 'waits'}",
            data_testid="ready",
            data_value=str(is_ready),
        ),
        node("ul", [node("li", each) for each in told], class_="why") if told else None,
        class_="pill",
    )


def _trading(scene: Scene) -> Node | None:
    words, known = scene.words, scene.known
    if (trading := known.get("trading")) is None:
        return None
    picture = {"active": "check", "reducing": "warning"}.get(trading, "halt")
    look = {"active": "good", "reducing": "waits"}.get(trading, "bad")
    text = words("trading_state", state=words.code("trading", trading))
    if trading == "active" and not known.get("ready", False):
        # A green word beside "not ready" would be read as leave to trade.
        picture, look, text = "clock", "waits", words("trading_once_ready")
    told = [node("li", each) for cause in known.get("causes", ()) for each in [cause_text(cause, words)]]
    stopping = node("span", icon("stop"), words("stopping"), class_="state waits") if known.get("stopping") else None
    return node(
        "div",
        node("span", icon(picture), text, class_=f"state {look}", data_testid="trading", data_value=trading),
        stopping,
        node("ul", told, class_="why listed") if told else None,
        class_="pill",
    )
