"""microlev: leverage set from market microstructure, for cTrader brokers."""

__version__ = "0.1.0"
