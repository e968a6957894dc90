"""The look of the page, kept as a style sheet beside this file."""

from pathlib import Path

SHEET = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
