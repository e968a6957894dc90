"""What `scripts/bench` measures: our side, the sides of others in environments of their own, and the stream they read.

Each side is a module that runs as a process of its own (`python -m bench_peers.NAME`), reads the same two files and
prints one JSON object. What a peer's module imports is the standard library, `timing` and the peer.
"""
