"""The cTrader Open API without IO: bytes in, events out; requests in, bytes out."""
