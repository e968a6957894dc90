"""The certificate that telemetry proves itself with, from the config's two files.

That nobody else can read the key is a rule of the config, `bot.config.rules`.
"""

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from twisted.internet.ssl import CertificateOptions, TLSVersion

from bot.config import Config


def server_tls(config: Config) -> Any:
    """Return the TLS of a config's telemetry, None for plain HTTP.

    Raises: ConfigError with the key's file and line for a file that cannot be used; what is in it is not shown.
    """
    given = config.telemetry
    if given.certificate_file is None or given.private_key_file is None:
        return None
    try:
        chain = x509.load_pem_x509_certificates(given.certificate_file.read_bytes())
    except (OSError, ValueError) as error:
        raise _unusable(
            config, "certificate_file", given.certificate_file, error, "no certificate in PEM form"
        ) from None
    path = given.private_key_file
    try:
        key: Any = load_pem_private_key(path.read_bytes(), None)
    except TypeError:  # cryptography's word for a key behind a password
        text = f"{path} is encrypted; the bot starts without a person: take the password off, and keep it mode 0600"
        raise config.error_at("telemetry.private_key_file", text) from None
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise _unusable(config, "private_key_file", path, error, "no private key in PEM form") from None
    if _public(key.public_key()) != _public(chain[0].public_key()):
        text = f"{path} is not the key of the certificate in {given.certificate_file}"
        raise config.error_at("telemetry.private_key_file", text)
    return CertificateOptions(
        privateKey=key,
        certificate=chain[0],
        extraCertChain=chain[1:],
        raiseMinimumTo=TLSVersion.TLSv1_2,
        acceptableProtocols=[b"http/1.1"],  # or a client that names it, as curl and browsers do, is turned away
    )


def _unusable(config: Config, key: str, path: Path, error: Exception, otherwise: str) -> Exception:
    why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else f"holds {otherwise}"
    return config.error_at(f"telemetry.{key}", f"{path} {why}")


def _public(key: Any) -> bytes:
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
