"""What is outside of the bot in the telemetry bench: the market that sends, and those who look. Standard library only.

market   sends a file of deliveries at an even pace over loopback, and notes when each one left
page     for each line of standard input, reads the stream as the dashboard does, until it ends
stuck    for each line, asks for the stream and never reads it
"""

import argparse
import http.client
import json
import os
import socket
import struct
import sys
import time
import urllib.request
from array import array
from contextlib import suppress
from pathlib import Path

EVERY_S = 0.25
"""The page's rate."""


def leave_the_core(core: int) -> None:
    """Use any core but that of the bot, if there is another."""
    others = os.sched_getaffinity(0) - {core} if hasattr(os, "sched_setaffinity") else set()
    if others:
        os.sched_setaffinity(0, others)


def market(port: int, deliveries: Path, per_s: float, sent: Path) -> None:
    """Send the deliveries; write when each one left, ns of the machine's monotonic clock."""
    data, at, pieces = deliveries.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        pieces.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    left_ns = array("q")
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        for number, piece in enumerate(pieces):
            wait_s = began + number / per_s - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
            left_ns.append(time.monotonic_ns())
            link.sendall(piece)
        link.shutdown(socket.SHUT_WR)
        link.recv(1)  # until the bot has taken all of it
    sent.write_bytes(left_ns.tobytes())


def page(url: str, token: str) -> None:
    """Read snapshots until the stream ends."""
    request = urllib.request.Request(f"{url}/stream?every_s={EVERY_S}", headers={"Authorization": f"Bearer {token}"})
    with suppress(OSError, ValueError, http.client.HTTPException), urllib.request.urlopen(request) as answer:
        for line in answer:
            json.loads(line)


def stuck(url: str, token: str) -> socket.socket:
    """Ask, and return a connection that nobody reads."""
    host, _, port = url.removeprefix("http://").partition(":")
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.connect((host, int(port)))
    head = f"GET /stream?every_s={EVERY_S} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
    link.sendall(head.encode())
    return link


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["market", "page", "stuck"])
    parser.add_argument("--core", type=int, required=True, help="the core of the bot")
    parser.add_argument("--port", type=int)
    parser.add_argument("--deliveries", type=Path)
    parser.add_argument("--per-s", type=float)
    parser.add_argument("--sent", type=Path)
    wanted = parser.parse_args()
    leave_the_core(wanted.core)
    if wanted.role == "market":
        market(wanted.port, wanted.deliveries, wanted.per_s, wanted.sent)
        return
    place = json.loads(sys.stdin.readline())  # not from the command line, where everybody can read it
    kept = None
    for _ in sys.stdin:
        if kept is not None:
            kept.close()
        kept = (page if wanted.role == "page" else stuck)(place["url"], place["token"])


if __name__ == "__main__":
    main()
