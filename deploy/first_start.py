"""Makes what a first start needs and nobody should choose: the database's password, a development certificate.

Run before everything else, at every start; what is there already is left as it is.
"""

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


def _write(path: Path, text: str, mode: int) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.touch(0o600)
    draft.write_text(text)
    draft.chmod(mode)
    draft.replace(path)


if __name__ == "__main__":
    _, where, server_name = sys.argv
    make_password(Path(where))
    development_certificate(CERTIFICATES, server_name)
    make_private(data_paths())  # volumes of older versions were not
