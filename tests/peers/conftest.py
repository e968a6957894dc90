"""Makes the bench's modules importable; they live beside `scripts/bench`, not in the package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
