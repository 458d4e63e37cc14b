"""TLS as RFC 8314 wants it: certificates that can be reloaded, and one of our own where none is configured.

The development certificate is made at the first start, beside the data, and renewed a month before it ends. A client
that was told to trust it trusts it until then.
"""

import contextlib
import datetime
import ipaddress
import os
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

# Long enough that nobody's test set-up dies of it, short enough that nobody takes it into production for good.
DEVELOPMENT_VALIDITY = datetime.timedelta(days=825)
# The development certificate is renewed this long before it ends, which is before CertificateExpires fires.
RENEWAL_LEAD = datetime.timedelta(days=30)
# A renewal that failed, because the folder is read-only, is tried again after this time.
RENEWAL_RETRY_SECONDS = 24 * 3600.0

log = structlog.get_logger(__name__)


class CertificateError(Exception):
    """The certificate or its key cannot be used; the message names the file."""


def server_context(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """A context for servers from PEM files (the key may stand in the certificate's file).

    TLS 1.2 is the oldest version spoken (RFC 8314 §4.1). Raises CertificateError, also for a key with a pass phrase.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password="")  # without one OpenSSL would ask the terminal for it
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(f"cannot use certificate {certificate} with key {key or certificate}: {error}") from None
    return context


def expiry(certificate: Path) -> datetime.datetime:
    """When the first certificate of a PEM file ends (notAfter), in UTC. Raises CertificateError."""
    try:
        return x509.load_pem_x509_certificates(certificate.read_bytes())[0].not_valid_after_utc
    except (OSError, ValueError) as error:
        raise CertificateError(f"cannot read certificate {certificate}: {error}") from None


class _File(NamedTuple):
    """What distinguishes a file from the one that had its name before."""

    inode: int
    octets: int
    modified_ns: int
    changed_ns: int


class Certificate:
    """A certificate and its key in PEM files. `context` is the newest that could be used; new handshakes take it.

    A reload makes a new context, because loading into the one in use would leave it without a key when the files do not
    belong together. Connections keep the context that they began with.
    """

    def __init__(self, path: Path, key: Path | None = None) -> None:
        """Load the files. Raises CertificateError."""
        self.path = path
        self._key = key
        self.is_newest = True
        """Whether the last load succeeded."""
        self.context, self.expires = self._load()

    def has_changed(self) -> bool:
        """Whether a file was replaced or written since the last load, whether that succeeded or not."""
        return self._files() != self._loaded_files

    def reload(self) -> None:
        """Load the files again. Raises CertificateError, OSError; then the old certificate stays in use."""
        try:
            self.context, self.expires = self._load()
        except (CertificateError, OSError):
            self.is_newest = False
            raise
        self.is_newest = True

    def _load(self) -> tuple[ssl.SSLContext, datetime.datetime]:
        self._loaded_files = self._files()  # first, so that what changes during the load is a change since then
        return server_context(self.path, self._key), expiry(self.path)

    def _files(self) -> list[_File | None]:
        return [_file(path) for path in (self.path, self._key) if path is not None]


class DevelopmentCertificate(Certificate):
    """A self-signed certificate for `server_name`, made where there is none and renewed before it ends."""

    def __init__(self, directory: Path, server_name: str) -> None:
        """Make or load it. Raises CertificateError, OSError."""
        self._directory = directory
        self._server_name = server_name
        super().__init__(directory / f"{server_name}.pem")

    def has_changed(self) -> bool:
        """Whether another process has renewed it, or this one should."""
        waited = time.monotonic() - self._loaded_at >= RENEWAL_RETRY_SECONDS
        return super().has_changed() or (waited and _ends_soon(self.expires))

    def _load(self) -> tuple[ssl.SSLContext, datetime.datetime]:
        self._loaded_at = time.monotonic()
        development_certificate(self._directory, self._server_name)
        return super()._load()


def development_certificate(directory: Path, server_name: str) -> Path:
    """A private PEM file with a key and a self-signed certificate for `server_name` and localhost.

    It is made if it is missing, and replaced if it ends soon. Raises OSError where it is missing and cannot be made.
    """
    path = directory / f"{server_name}.pem"
    if not path.exists():
        make_private_folder(directory)
        _place(path, _self_signed(server_name))
    elif _should_renew(path):
        _renew(path, server_name)
    if make_private([path]):
        log.warning("others have rights to this, and its mode cannot be changed", path=str(path))
    return path


def _should_renew(path: Path) -> bool:
    try:
        return _ends_soon(expiry(path))
    except CertificateError:
        return False  # loading it says what is wrong with it


def _ends_soon(expires: datetime.datetime) -> bool:
    return expires - datetime.datetime.now(datetime.UTC) < RENEWAL_LEAD


def _place(path: Path, octets: bytes) -> None:
    """Make a file that does not exist yet. The first process wins, because its file may be in use already."""
    with _draft(path, octets) as draft, contextlib.suppress(FileExistsError):
        os.link(draft, path)


def _renew(path: Path, server_name: str) -> None:
    """Replace the file. Of processes that do so at once the last one wins; the others see the change."""
    try:
        with _draft(path, _self_signed(server_name)) as draft:
            os.replace(draft, path)  # noqa: PTH105 - as os.link above
    except OSError as error:  # in the containers only first-start can write it
        log.warning("the development certificate ends soon and cannot be renewed", path=str(path), reason=str(error))


@contextlib.contextmanager
def _draft(path: Path, octets: bytes) -> Iterator[str]:
    """A private file (0600) beside `path` with all octets on disk; removed at the end if it still has its name."""
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
    """None where there is no such file, or it cannot be reached."""
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
