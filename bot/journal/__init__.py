"""The memory of a run: the wire as received plus every Decision (journal), and what we meant to do (ledger)."""
