"""Makes what a first start needs and nobody should choose: the database's password, a development certificate.

Run before everything else, at every start; what is there already is left as it is. Where the API takes keys without
TLS follows from the address that its port is published on, so that is written anew each time.
"""

import ipaddress
import secrets
import sys
from pathlib import Path

from relate_config.private import data_paths, make_private
from relate_wire.tls import development_certificate

CERTIFICATES = Path("var/tls")


def make_password(directory: Path) -> None:
    """The password for the database's server, and the URL with it for those who connect."""
    password = directory / "database-password"
    if not password.exists():
        # Readable by all, because PostgreSQL runs under an id of its own: who has the volume may read it.
        _write(password, secrets.token_urlsafe(32), 0o444)
    url = f"postgresql://relate:{password.read_text()}@postgres/relate"
    _write(directory / "database-url", url, 0o400)  # by our own services, which share an id


def choose_plaintext_authentication(directory: Path, bind_address: str) -> None:
    """`Api__PlaintextAuthentication`. All that comes in by a published port comes from Docker's gateway.

    So the API cannot see whether a connection began on this machine; it did where the port is bound to loopback.
    """
    mode = "always" if _is_loopback(bind_address) else "loopback"
    _write(directory / "api-plaintext-authentication", mode, 0o444)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def _write(path: Path, text: str, mode: int) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.touch(0o600)
    draft.write_text(text)
    draft.chmod(mode)
    draft.replace(path)


if __name__ == "__main__":
    _, where, server_name, bind_address = sys.argv
    make_password(Path(where))
    choose_plaintext_authentication(Path(where), bind_address)
    development_certificate(CERTIFICATES, server_name)
    make_private(data_paths())  # volumes of older versions were not
