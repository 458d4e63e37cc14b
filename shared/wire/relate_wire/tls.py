"""TLS contexts for servers (RFC 8314): reloadable certificates, and a self-signed one if none is configured.

The development certificate is created beside the data at the first start and renewed a month before it expires. A
client that trusts it trusts it until then.
"""

import contextlib
import datetime
import ipaddress
import os
import re
import ssl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from relate_config.private import make_private, make_private_folder

# Long enough that test set-ups outlive it rarely, short enough to discourage its use in production.
DEVELOPMENT_VALIDITY = datetime.timedelta(days=825)
# The development certificate is renewed this long before it expires, so that the alert CertificateExpires never fires.
RENEWAL_LEAD = datetime.timedelta(days=30)
# The retry interval after a failed renewal (a read-only folder).
RENEWAL_RETRY_SECONDS = 24 * 3600.0

_CIPHER = re.compile(
    r"(?:(?P<exchange>(?:ECDHE|DHE)-(?:ECDSA|RSA))-)?"  # OpenSSL does not write an exchange by RSA
    r"(?:AES(?P<bits>128|256)-(?:(?P<mode>GCM)-)?(?P<digest>SHA\d*)|CHACHA20-POLY1305)"
)

log = structlog.get_logger(__name__)


class CertificateError(Exception):
    """The certificate or its key is unusable; the message names the file."""


def server_context(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """Create a server context from PEM files (one file may contain both certificate and key).

    The minimum version is TLS 1.2 (RFC 8314 §4.1). Raises CertificateError, also for a key with a passphrase.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password="")  # without one OpenSSL would prompt on the terminal
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(f"cannot use certificate {certificate} with key {key or certificate}: {error}") from None
    return context


def iana_cipher(name: str) -> str:
    """Return IANA's name of a cipher that OpenSSL names, as `server_context` allows them; other names as they are.

    `ECDHE-RSA-AES128-GCM-SHA256` is TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256. Both name those of TLS 1.3 alike.
    """
    match = _CIPHER.fullmatch(name)
    if match is None:
        return name
    exchange, bits, mode, digest = match.group("exchange", "bits", "mode", "digest")
    cipher = f"AES_{bits}_{mode or 'CBC'}_{digest}" if bits else "CHACHA20_POLY1305_SHA256"
    return f"TLS_{(exchange or 'RSA').replace('-', '_')}_WITH_{cipher}"


def handshake_failure(error: OSError) -> str:
    """Return why a handshake failed: OpenSSL's reason, else `timeout` or `connection closed`."""
    if isinstance(error, ssl.SSLError):
        return error.reason or "unknown"
    # asyncio raises ConnectionAbortedError after `ssl_handshake_timeout`.
    return "timeout" if isinstance(error, (ConnectionAbortedError, TimeoutError)) else "connection closed"


def expiry(certificate: Path) -> datetime.datetime:
    """Return when the first certificate of a PEM file expires (notAfter), in UTC. Raises CertificateError."""
    try:
        return x509.load_pem_x509_certificates(certificate.read_bytes())[0].not_valid_after_utc
    except (OSError, ValueError) as error:
        raise CertificateError(f"cannot read certificate {certificate}: {error}") from None


class _File(NamedTuple):
    """The file attributes that change when a file is replaced or written."""

    inode: int
    octets: int
    modified_ns: int
    changed_ns: int


class Certificate:
    """A certificate and its key in PEM files. New handshakes use `context`, the newest that was loaded successfully.

    A reload creates a new context, because loading mismatched files into the current one would leave it without a key.
    Open connections keep the context of their handshake.
    """

    def __init__(self, path: Path, key: Path | None = None) -> None:
        """Load the files. Raises CertificateError."""
        self.path = path
        self._key = key
        self.is_newest = True
        """Whether the last load succeeded."""
        self.context, self.expires = self._load()

    def has_changed(self) -> bool:
        """Whether a file was replaced or written since the last load, successful or not."""
        return self._files() != self._loaded_files

    def reload(self) -> None:
        """Reload the files. Raises CertificateError, OSError; the old certificate then stays in use."""
        try:
            self.context, self.expires = self._load()
        except (CertificateError, OSError):
            self.is_newest = False
            raise
        self.is_newest = True

    def _load(self) -> tuple[ssl.SSLContext, datetime.datetime]:
        self._loaded_files = self._files()  # before the load, so that a change during the load is detected later
        return server_context(self.path, self._key), expiry(self.path)

    def _files(self) -> list[_File | None]:
        return [_file(path) for path in (self.path, self._key) if path is not None]


class DevelopmentCertificate(Certificate):
    """A self-signed certificate for `server_name`, created if missing and renewed before it expires."""

    def __init__(self, directory: Path, server_name: str) -> None:
        """Create or load it. Raises CertificateError, OSError."""
        self._directory = directory
        self._server_name = server_name
        super().__init__(directory / f"{server_name}.pem")

    def has_changed(self) -> bool:
        """Whether another process has renewed it, or this one should."""
        may_retry = time.monotonic() - self._loaded_at >= RENEWAL_RETRY_SECONDS
        return super().has_changed() or (may_retry and _expires_soon(self.expires))

    def _load(self) -> tuple[ssl.SSLContext, datetime.datetime]:
        self._loaded_at = time.monotonic()
        development_certificate(self._directory, self._server_name)
        return super()._load()


def development_certificate(directory: Path, server_name: str) -> Path:
    """Return a private PEM file with a key and a self-signed certificate for `server_name` and localhost.

    It is created if missing, and replaced if it expires soon. Raises OSError if it is missing and cannot be created.
    """
    path = directory / f"{server_name}.pem"
    if not path.exists():
        make_private_folder(directory)
        _place(path, _self_signed(server_name))
    elif _should_renew(path):
        _renew(path, server_name)
    if make_private([path]):
        log.warning("other users can access the file, and its mode cannot be changed", path=str(path))
    return path


def _should_renew(path: Path) -> bool:
    try:
        return _expires_soon(expiry(path))
    except CertificateError:
        return False  # loading the file raises a better error


def _expires_soon(expires: datetime.datetime) -> bool:
    return expires - datetime.datetime.now(datetime.UTC) < RENEWAL_LEAD


def _place(path: Path, octets: bytes) -> None:
    """Create a file if it does not exist. The first process wins, because its file may be in use already."""
    with _draft(path, octets) as draft, contextlib.suppress(FileExistsError):
        os.link(draft, path)


def _renew(path: Path, server_name: str) -> None:
    """Replace the file. Of concurrent processes the last one wins; the others detect the change."""
    try:
        with _draft(path, _self_signed(server_name)) as draft:
            os.replace(draft, path)  # noqa: PTH105 - as os.link above
    except OSError as error:  # in the containers only first-start can write it
        log.warning("the development certificate expires soon and cannot be renewed", path=str(path), reason=str(error))


@contextlib.contextmanager
def _draft(path: Path, octets: bytes) -> Iterator[str]:
    """A temporary file (mode 0600) beside `path`, flushed to disk; removed at the end unless it was renamed."""
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no Path
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
        yield name
    finally:
        Path(name).unlink(missing_ok=True)


def _file(path: Path) -> _File | None:
    """None if the file does not exist or is not accessible."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _File(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


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


def tls_parameters(tls: ssl.SSLObject | None) -> tuple[str, str]:
    """The version of a TLS connection, such as `1.3`, and OpenSSL's name of its cipher; empty without TLS."""
    version, cipher = (tls.version(), tls.cipher()) if tls is not None else (None, None)
    return (version or "").removeprefix("TLSv"), cipher[0] if cipher else ""
