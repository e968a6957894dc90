"""The embedded venue: the other side of the protocol, in memory, with its own book, account and rules."""
