"""Nothing passes the gate without a session, whatever is asked for and however; only the token gives one."""

import re

import pytest
from gate_scene import HOME, PORT, TOKEN, GateScene

ASSET = "/_nicegui/3.18.0/static/vue.js"
SOCKETS = "/_nicegui_ws/socket.io/"
EVERYWHERE = ("/", ASSET, SOCKETS, "/favicon.ico", "/elsewhere", "/enter", "//", "/_nicegui/../", "/%2e%2e/")


@pytest.fixture
def scene() -> GateScene:
    return GateScene()


# -- without a session --


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"])
def test_nothing_passes_without_a_session(path: str, method: str, scene: GateScene) -> None:
    answer = scene.ask(path, method, headers={"Origin": HOME})
    assert (answer.status_code, scene.passed) == (403, [])
    assert "set-cookie" not in answer.headers


def test_who_comes_without_a_token_gets_a_form_in_both_languages(scene: GateScene) -> None:
    answer = scene.ask("/")
    assert re.search(r'<form method="post" action="/enter"', answer.text)
    assert "paste the token" in answer.text and "トークンを貼り付けて" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN[:-1], TOKEN.upper(), "é", "\udcff", "0" * 5000])
def test_a_wrong_token_is_refused_by_link_and_by_form(token: str, scene: GateScene) -> None:
    shown = token.encode("utf-8", "surrogateescape")
    by_link = scene.ask("/", params={"token": shown})
    by_form = scene.ask("/enter", "POST", data={"token": shown}, headers={"Origin": HOME})
    for answer in (by_link, by_form):
        assert (answer.status_code, scene.entered, scene.passed) == (403, 0, [])
        assert "not the right one" in answer.text and "トークンが違います" in answer.text
        assert "set-cookie" not in answer.headers


def test_an_empty_token_never_opens_even_when_the_bot_has_none(scene: GateScene) -> None:
    scene.tokens = ["", ""]
    assert scene.ask("/?token=").status_code == 403
    scene.tokens = []
    assert scene.ask(f"/?token={TOKEN}").status_code == 403


def test_wrong_tokens_are_throttled_and_a_right_one_is_not(scene: GateScene) -> None:
    codes = [scene.ask("/?token=guess").status_code for _ in range(8)]
    assert codes == [403] * 5 + [429] * 3
    answer = scene.ask("/?token=guess")
    assert answer.headers["retry-after"] == "2" and "Too many" in answer.text
    scene.now_s += 2.1
    assert [scene.ask("/?token=guess").status_code for _ in range(2)] == [403, 429]
    assert scene.ask(f"/?token={TOKEN}").status_code == 303


@pytest.mark.parametrize("cookie", [f"microlev-{PORT}=", f"microlev-{PORT}=guess", f"microlev-9={TOKEN}", "x", ";=;"])
def test_a_cookie_that_was_not_given_out_opens_nothing(cookie: str, scene: GateScene) -> None:
    scene.session()
    assert scene.ask("/", headers={"Cookie": cookie}).status_code == 403


def test_the_session_of_another_dashboard_opens_nothing(scene: GateScene) -> None:
    assert GateScene().ask("/", headers=scene.session()).status_code == 403


# -- getting in --


def test_the_link_is_exchanged_for_a_strict_cookie_and_an_address_without_the_token(scene: GateScene) -> None:
    answer = scene.ask(f"/?token={TOKEN}&lang=ja")
    assert (answer.status_code, answer.headers["location"], scene.entered) == (303, "/", 1)
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(rf"microlev-{PORT}=[\w-]{{43}}; Path=/; HttpOnly; SameSite=Strict", cookie)
    assert TOKEN not in str(answer.headers) + answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_the_form_lets_in_as_the_link_does(scene: GateScene) -> None:
    answer = scene.ask("/enter", "POST", data={"token": f" {TOKEN}\n"}, headers={"Origin": HOME})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
    assert scene.ask("/", headers=cookie).text == "behind the gate"


def test_a_browser_that_comes_from_a_file_is_sent_on_by_a_page_of_ours(scene: GateScene) -> None:
    """A redirect would count as that file's doing, and the strict cookie would not come along."""
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
    answer = scene.ask(f"/?token={TOKEN}", headers=visit)
    assert answer.status_code == 200 and "set-cookie" in answer.headers
    assert '<meta http-equiv="refresh" content="0;url=/">' in answer.text
    assert '<meta name="referrer" content="no-referrer">' in answer.text


def test_a_form_that_is_no_form_is_refused(scene: GateScene) -> None:
    for body in (b"", b"token", b"=" * 4097, b"token=" + b"x" * 100_000, b"\xff\xfe\x00", b'{"token": "x"}'):
        assert scene.ask("/enter", "POST", content=body, headers={"Origin": HOME}).status_code in (403, 429)
    assert scene.entered == 0


def test_an_old_link_leads_somebody_with_a_session_to_the_page(scene: GateScene) -> None:
    answer = scene.ask("/?token=of-yesterday", headers=scene.session())
    assert (answer.status_code, answer.headers["location"], scene.passed) == (303, "/", [])


def test_a_session_outlives_the_token_that_opened_it(scene: GateScene) -> None:
    session = scene.session()
    scene.tokens = ["of-the-next-run"]
    assert scene.ask("/", headers=session).status_code == 200
    assert scene.ask(f"/?token={TOKEN}").status_code == 403


def test_of_too_many_sessions_the_oldest_ends(scene: GateScene) -> None:
    first, second = scene.session(), scene.session()
    for _ in range(63):
        scene.access.admit()
    assert [scene.ask("/", headers=session).status_code for session in (first, second)] == [403, 200]


# -- with a session --


@pytest.mark.parametrize("path", ["/", ASSET, SOCKETS, "/favicon.ico", "/?lang=ja"])
def test_with_a_session_the_page_its_assets_and_its_sockets_are_served(path: str, scene: GateScene) -> None:
    answer = scene.ask(path, headers=scene.session())
    assert (answer.status_code, answer.text) == (200, "behind the gate")


@pytest.mark.parametrize("path", ["/elsewhere", f"/elsewhere?token={TOKEN}", f"{ASSET}?token={TOKEN}", "/docs"])
def test_other_addresses_do_not_exist(path: str, scene: GateScene) -> None:
    assert scene.ask(path, headers=scene.session()).status_code == 404
    assert scene.passed == []


def test_every_answer_keeps_itself_to_the_browser_that_asked(scene: GateScene) -> None:
    session = scene.session()
    for answer in (scene.ask("/"), scene.ask("/", headers=session), scene.ask("/no", headers=session)):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers.get_list("x-frame-options") == ["DENY"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    policy = scene.ask("/", headers=session).headers
    assert policy["referrer-policy"] == "no-referrer"
    assert "default-src 'self'" in policy["content-security-policy"] and "http" not in policy["content-security-policy"]


def test_only_assets_that_hold_nothing_of_an_account_may_be_kept(scene: GateScene) -> None:
    session = scene.session()
    assert scene.ask(ASSET, headers=session).headers["cache-control"] == "public, max-age=9"
    assert scene.ask(SOCKETS, headers=session).headers["cache-control"] == "no-store"


def test_a_language_that_was_asked_for_is_kept(scene: GateScene) -> None:
    session = scene.session()
    assert scene.ask("/?lang=ja", headers=session).headers["set-cookie"].startswith("microlev-language=ja; ")
    assert "set-cookie" not in scene.ask("/?lang=tlh", headers=session).headers


# -- from elsewhere --


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:9", "[::1]", f"[::1]:{PORT}"])
def test_this_machine_may_be_called_by_its_names_and_any_port_of_a_tunnel(host: str, scene: GateScene) -> None:
    assert scene.ask(f"/?token={TOKEN}", headers={"Host": host}).status_code == 303


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8123", "", "127.0.0.1:8123:1",
             "127.0.0.1@evil.example", "0.0.0.0", "10.0.0.1:8123", "localhost:x", "[::1]x", "LOCALHOST.", "::1"]
)  # fmt: skip
def test_a_name_that_others_could_lead_here_is_refused_even_with_a_session(host: str, scene: GateScene) -> None:
    answer = scene.ask("/", headers=scene.session() | {"Host": host})
    assert (answer.status_code, scene.passed) == (403, [])
    assert "<form" not in answer.text


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", "http://127.0.0.1:8124", f"https://127.0.0.1:{PORT}",
               f"http://localhost:{PORT}", "", f"{HOME}/", f"{HOME}.evil.example"]
)  # fmt: skip
def test_what_a_page_of_elsewhere_asks_is_refused_even_with_a_session(origin: str, scene: GateScene) -> None:
    headers = scene.session() | {"Origin": origin}
    for method, path in (("GET", "/"), ("POST", SOCKETS), ("POST", "/enter"), ("GET", f"/?token={TOKEN}")):
        assert scene.ask(path, method, headers=headers, data={"token": TOKEN}).status_code == 403
    assert (scene.passed, scene.entered) == ([], 1)


def test_a_request_that_changes_something_needs_an_origin(scene: GateScene) -> None:
    session = scene.session()
    assert scene.ask(SOCKETS, "POST", headers=session).status_code == 403
    assert scene.ask(SOCKETS, "POST", headers=session | {"Origin": HOME}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(("path", "dest"), [(SOCKETS, "empty"), (ASSET, "script"), ("/", "image"), ("/", "iframe")])
def test_what_a_page_of_elsewhere_embeds_is_refused(site: str, path: str, dest: str, scene: GateScene) -> None:
    headers = scene.session() | {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": dest}
    assert scene.ask(path, headers=headers).status_code == 403
    assert scene.passed == []


def test_wrong_tokens_that_a_page_of_elsewhere_embeds_use_up_no_patience(scene: GateScene) -> None:
    for _ in range(20):
        scene.ask("/?token=guess", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"})
    assert scene.ask("/?token=guess").status_code == 403


# -- sockets --


def test_a_socket_opens_with_a_session_and_our_origin(scene: GateScene) -> None:
    assert scene.open_socket(origin=HOME, cookie=scene.session()["Cookie"]) == "websocket.accept"


def test_a_socket_is_refused_without_any_of_what_it_needs(scene: GateScene) -> None:
    cookie = scene.session()["Cookie"]
    refused = [
        scene.open_socket(),
        scene.open_socket(origin=HOME),
        scene.open_socket(cookie=cookie),
        scene.open_socket(origin=HOME, cookie=f"microlev-{PORT}=guess"),
        scene.open_socket(origin="http://evil.example", cookie=cookie),
        scene.open_socket(origin="http://127.0.0.1:8124", cookie=cookie),
        scene.open_socket(host="evil.example", origin="http://evil.example", cookie=cookie),
        scene.open_socket(host="evil.example", origin="http://", cookie=cookie),
        scene.open_socket(path="/elsewhere", origin=HOME, cookie=cookie),
    ]
    assert (set(refused), scene.passed) == ({"websocket.close"}, [])
