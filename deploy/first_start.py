"""Makes what a first start needs and nobody should choose: the database's password, a development certificate.

Run before everything else, at every start; what is there already is left as it is. Where the API takes keys without
TLS follows from the address that its port is published on, so that is written anew each time.
"""

import ipaddress
import secrets
import sys
from pathlib import Path

from relate_wire.tls import development_certificate

CERTIFICATES = Path("var/tls")


def make_password(directory: Path) -> None:
    """The password for the database's server, and the URL with it for those who connect."""
    password = directory / "database-password"
    if not password.exists():
        _write(password, secrets.token_urlsafe(32))
    _write(directory / "database-url", f"postgresql://relate:{password.read_text()}@postgres/relate")


def choose_plaintext_authentication(directory: Path, bind_address: str) -> None:
    """`Api__PlaintextAuthentication`. All that comes in by a published port comes from Docker's gateway.

    So the API cannot see whether a connection began on this machine; it did where the port is bound to loopback.
    """
    mode = "always" if _is_loopback(bind_address) else "loopback"
    _write(directory / "api-plaintext-authentication", mode)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def _write(path: Path, text: str) -> None:
    # Readable by all, as PostgreSQL runs under an id of its own: who may read is who has the volume.
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.chmod(0o444)
    draft.replace(path)


if __name__ == "__main__":
    _, where, server_name, bind_address = sys.argv
    make_password(Path(where))
    choose_plaintext_authentication(Path(where), bind_address)
    development_certificate(CERTIFICATES, server_name)
