"""expired-certificate: the development certificate becomes one that expired yesterday; a client that checks it fails.

The services notice the new file within a minute and serve it. At the end the old certificate is restored.
"""

import datetime
import socket
import ssl
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from deploy.demo.stopping import block_stop_signals, repeat
from relate.demo.clients import RESPONSE_TIMEOUT_SECONDS
from relate.settings import load_command_settings

CERTIFICATES = Path("var/tls")
DAY = datetime.timedelta(days=1)
TRIAL_SECONDS = 5.0

log = structlog.get_logger(__name__)


def expired(pem: bytes) -> bytes:
    """The same key and certificate, but for the dates."""
    old = x509.load_pem_x509_certificate(pem)
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise TypeError(f"not a development certificate: {key}")
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 90 * DAY)
        .not_valid_after(now - DAY)
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def replace(path: Path, octets: bytes) -> None:
    """Replace a private file at once, so that no service reads half of it."""
    new = path.with_suffix(".demo")
    new.unlink(missing_ok=True)
    new.touch(0o600)
    new.write_bytes(octets)
    new.replace(path)


def connect(server: tuple[str, int], certificate: Path) -> None:
    """Connect as a mail program that trusts the certificate, and checks its dates. Raises OSError."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False  # the certificate is for the name that the host has outside of the containers
    with socket.create_connection(server, RESPONSE_TIMEOUT_SECONDS) as plain, context.wrap_socket(plain):
        log.info("connected")


def main() -> None:
    """Connect with an expired certificate in place until the container is stopped."""
    block_stop_signals()
    settings = load_command_settings()
    path = CERTIFICATES / f"{settings.smtp.server_name}.pem"
    valid = path.read_bytes()
    invalid = expired(valid)

    def step() -> None:
        if path.read_bytes() != invalid:  # at first; and first-start, which runs before other containers, renews it
            replace(path, invalid)
        connect(("imap", settings.imap.secure_port), path)

    try:
        repeat(step, TRIAL_SECONDS)
    finally:
        replace(path, valid)


if __name__ == "__main__":
    main()
