"""What a run says of itself to those who watch it: its status, snapshots for a page, metrics. Nothing here steers."""
