"""TLS as RFC 8314 wants it, and a certificate of our own making where none is configured.

The development certificate is made at first start, beside the data, and kept: a client that was told to trust it once
goes on trusting it.
"""

import contextlib
import datetime
import ipaddress
import os
import ssl
import tempfile
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from relate_config.private import make_private, make_private_folder

# Long enough that nobody's test set-up dies of it, short enough that nobody takes it into production for good.
DEVELOPMENT_VALIDITY = datetime.timedelta(days=825)


log = structlog.get_logger(__name__)


class CertificateError(Exception):
    """The certificate or its key cannot be used; the message names the file."""


def server_context(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """A context for servers from PEM files (the key may stand in the certificate's file).

    TLS 1.2 is the oldest version spoken (RFC 8314 §4.1). Raises CertificateError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(f"cannot use certificate {certificate} with key {key or certificate}: {error}") from None
    return context


def development_certificate(directory: Path, server_name: str) -> Path:
    """A private PEM file with a key and a self-signed certificate for `server_name` and localhost; made if missing."""
    path = directory / f"{server_name}.pem"
    if not path.exists():
        make_private_folder(directory)
        _place(path, _self_signed(server_name))
    if make_private([path]):
        log.warning("others have rights to this, and its mode cannot be changed", path=str(path))
    return path


def _place(path: Path, octets: bytes) -> None:
    """Make a private file, whole or not at all. Whoever comes first wins: that one's may be in use already."""
    with tempfile.NamedTemporaryFile(prefix=f"{path.name}.", dir=path.parent) as draft:  # 0600 from the start
        draft.write(octets)
        draft.flush()
        os.fsync(draft.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft.name, path)


def _self_signed(server_name: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server_name)])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in dict.fromkeys((server_name, "localhost"))]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + DEVELOPMENT_VALIDITY)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
