"""Nodes carry texts and attributes, and nothing that runs."""

from types import SimpleNamespace
from typing import Any

import pytest

from bot.dashboard.tree import Tree, found, is_element, node, text_of
from tests.page_clients import client


def test_a_node_has_its_attributes_as_html_has_them() -> None:
    made = node(
        "span", "a", None, ["b", node("b", "c")], class_="x", data_value=1.5, disabled=True, title=None, hidden=False
    )
    assert made == ["span", {"class": "x", "data-value": "1.5", "disabled": ""}, ["a", "b", ["b", {}, ["c"]]]]
    assert is_element(made) and not is_element("span") and not is_element(["a", "b", "c"])


@pytest.mark.parametrize("tag", ["script", "iframe", "object", "style", "img", "form"])
def test_an_element_that_could_run_or_load_something_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="the page has no"):
        node(tag)


@pytest.mark.parametrize("name", ["onclick", "onerror", "innerHTML", "srcdoc", "textContent"])
def test_an_attribute_that_could_run_something_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="sets no"):
        node("div", **{name: "x"})


def test_the_page_links_to_nothing_but_itself() -> None:
    assert node("a", "ja", href="?lang=ja")[1] == {"href": "?lang=ja"}
    for address in ("https://example.com", "javascript:alert(1)", "//example.com"):
        with pytest.raises(ValueError, match="links to nothing"):
            node("a", href=address)


def test_text_and_elements_can_be_found_again() -> None:
    tree = node("div", node("p", "one", class_="x"), "two", node("p", node("b", "three"), data_testid="t"))
    assert text_of(tree) == "one two three"
    assert found(tree, class_="x") == [["p", {"class": "x"}, ["one"]]] and len(found(tree, data_testid="t")) == 1
    assert found("text", class_="x") == []


def test_a_tree_sends_only_what_has_changed_and_hears_only_texts() -> None:
    heard: list[str] = []
    with client():
        tree = Tree(heard.append)
        sent: list[Any] = []
        tree.update = lambda: sent.append(tree.shown)  # type: ignore[method-assign]
        tree.show(node("p", "one"))
        tree.show(node("p", "one"))
        tree.show(node("p", "two"))
        assert [text_of(each) for each in sent] == ["one", "two"]
        (listener,) = tree._event_listeners.values()
        assert listener.handler is not None
        for args in ("symbol:EURUSD", {"evil": 1}, None, 5):
            listener.handler(SimpleNamespace(args=args))
    assert heard == ["symbol:EURUSD"]
