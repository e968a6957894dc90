"""The other clients, each installed once a run, and only when a test asks for it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from client_process import FOLDER, ClientProcess
from throwaway import find_python, install_node_client, install_python_client

# Their asserts are the tests' own: a failure shall show the values.
pytest.register_assert_rewrite("observer", "walkthrough")

StartClient = Callable[[Mapping[str, Any]], ClientProcess]
"""Starts a client's session against the venue of a ready line."""


@pytest.fixture(scope="session")
def official_sdk(tmp_path_factory: pytest.TempPathFactory) -> StartClient:
    """The official Python SDK. It verifies no certificate, so it needs none."""
    folder = tmp_path_factory.mktemp("official-sdk")
    python = install_python_client(folder, "official_sdk.txt")
    return lambda ready: ClientProcess([python, _script("sdk_session.py")], ready, {}, folder)


@pytest.fixture(scope="session")
def api_client(tmp_path_factory: pytest.TempPathFactory) -> StartClient:
    """The asyncio client `ctrader-api-client`: Python 3.12 or later."""
    base = find_python((3, 12))
    if base is None:
        pytest.skip("ctrader-api-client needs Python 3.12 or later, and none was found on this machine")
    folder = tmp_path_factory.mktemp("api-client")
    python = install_python_client(folder, "api_client.txt", base)
    return _trusting("SSL_CERT_FILE", [python, _script("api_client_session.py")], folder)


@pytest.fixture(scope="session")
def pynecore_client(tmp_path_factory: pytest.TempPathFactory) -> StartClient:
    """The connection of PyneCore's cTrader plug-in."""
    folder = tmp_path_factory.mktemp("pynecore")
    python = install_python_client(folder, "pynecore.txt")
    return _trusting("SSL_CERT_FILE", [python, _script("pynecore_session.py")], folder)


@pytest.fixture(scope="session")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> StartClient:
    """The Node client `@reiryoku/ctrader-layer`."""
    installed = install_node_client(tmp_path_factory.mktemp("ctrader-layer"), "ctrader_layer.json")
    # Node releases before 20 may try only ::1 for localhost; the venue listens on 127.0.0.1.
    command = [installed.node, "--dns-result-order=ipv4first", _script("node_session.mjs")]
    return _trusting("NODE_EXTRA_CA_CERTS", command, installed.folder)


def _trusting(variable: str, command: list[str], folder: Path) -> StartClient:
    """A client that takes the authority to trust from an environment variable."""
    return lambda ready: ClientProcess(command, ready, {variable: ready["ca_file"]}, folder)


def _script(name: str) -> str:
    return str(Path(FOLDER) / name)
