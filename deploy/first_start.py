"""Creates the secrets of a first start: the database's password and a development certificate.

Runs before the services at every start, and keeps existing secrets. Whether the API accepts keys without TLS depends on
the address on which its port is published, so that setting is written each time.
"""

import ipaddress
import secrets
import sys
from pathlib import Path

from relate_config.private import data_paths, make_private
from relate_wire.tls import development_certificate

CERTIFICATES = Path("var/tls")


def make_password(directory: Path) -> None:
    """Create the password of the database server, and write the URL with it for its clients."""
    password = directory / "database-password"
    if not password.exists():
        # Readable by all users of the volume, because PostgreSQL runs under another user id.
        _write(password, secrets.token_urlsafe(32), 0o444)
    url = f"postgresql://relate:{password.read_text()}@postgres/relate"
    _write(directory / "database-url", url, 0o400)  # for our services, which share a user id


def choose_plaintext_authentication(directory: Path, bind_address: str) -> None:
    """Write `Api__PlaintextAuthentication`: `always` where the port is published on loopback.

    Connections to a published port come from Docker's gateway, so the API cannot see whether they are local.
    """
    mode = "always" if _is_loopback(bind_address) else "loopback"
    _write(directory / "api-plaintext-authentication", mode, 0o444)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def _write(path: Path, text: str, mode: int) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.touch(0o600)
    new.write_text(text)
    new.chmod(mode)
    new.replace(path)


if __name__ == "__main__":
    _, directory, server_name, bind_address = sys.argv
    make_password(Path(directory))
    choose_plaintext_authentication(Path(directory), bind_address)
    development_certificate(CERTIFICATES, server_name)
    make_private(data_paths())  # volumes of older versions are not private
