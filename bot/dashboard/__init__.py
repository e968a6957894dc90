"""The dashboard: a page in a browser that shows a run, live or recorded, from a process of its own.

How it works: a feed reads snapshots, from a bot's telemetry or of a journal, whoever looks; the gate lets in who has
shown the token; the server joins the two with the page, on this machine's loopback address alone.
"""
