"""Whom to trust: the roots a venue's certificate must lead to."""

import ssl
import sys
from pathlib import Path
from typing import Any

from OpenSSL import crypto
from twisted.internet.ssl import Certificate, platformTrust, trustRootFromCertificates


class TrustUnavailable(ValueError):
    """A file of root certificates cannot be used; the text names it and says why."""


def trust_roots(ca_file: Path | None) -> Any:
    """Return the trust roots for `optionsForClientTLS`: those of `ca_file` alone, else those of the system.

    On Linux the system's store is OpenSSL's default path, which a company or `SSL_CERT_FILE` may have extended. On
    macOS and Windows (and on a Linux without a store) the OpenSSL that comes with Python packages knows no store, and
    would refuse every certificate; there the Mozilla roots of `certifi` are used.

    Raises: TrustUnavailable when the file is missing, or holds no certificate.
    """
    if ca_file is not None:
        return _roots_in(ca_file)
    if sys.platform.startswith("linux") and _system_store_exists():
        return platformTrust()
    import certifi  # only where it is needed

    return _roots_in(Path(certifi.where()))


def _system_store_exists() -> bool:
    paths = ssl.get_default_verify_paths()  # None for what does not exist
    return paths.cafile is not None or (paths.capath is not None and any(Path(paths.capath).iterdir()))


def _roots_in(path: Path) -> Any:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise TrustUnavailable(f"cannot read {path}: {error.strerror}") from None
    marker = b"-----BEGIN CERTIFICATE-----"
    blocks = [marker + block for block in text.split(marker)[1:]]
    if not blocks:
        raise TrustUnavailable(f"{path} holds no certificate in PEM form")
    try:
        return trustRootFromCertificates([Certificate.loadPEM(block) for block in blocks])
    except (crypto.Error, ValueError) as error:
        raise TrustUnavailable(f"{path} holds a certificate that cannot be read: {error}") from None
