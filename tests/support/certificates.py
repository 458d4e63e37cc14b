"""Certificates of a test authority, and client contexts that trust it."""

import datetime
import ssl
from pathlib import Path

import trustme
from cryptography import x509


class Authority:
    """Issues certificates for localhost; `trusting` is a client context that trusts only this authority."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.trusting = ssl.create_default_context()
        self._authority.configure_trust(self.trusting)

    def serving(self, *names: str) -> ssl.SSLContext:
        """Return a server context with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names).configure_cert(context)
        return context

    def write_root(self, path: Path) -> None:
        """Write the authority's own certificate, for `SSL_CERT_FILE`."""
        self._authority.cert_pem.write_to_path(str(path))

    def issue(self, path: Path, key: Path | None = None, days: int = 90) -> int:
        """Write a certificate for localhost, and its key to the same or another file; returns the serial number."""
        ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        issued = self._authority.issue_cert("localhost", "127.0.0.1", not_after=ends)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        draft = path.with_suffix(".new")  # replaced atomically, as ACME clients do
        if key is None:
            draft.write_bytes(issued.private_key_pem.bytes() + chain)
        else:
            key.write_bytes(issued.private_key_pem.bytes())
            draft.write_bytes(chain)
        draft.replace(path)
        return serial(issued.cert_chain_pems[0].bytes())


def serial(pem: bytes) -> int:
    """Return the serial number of a certificate."""
    return x509.load_pem_x509_certificate(pem).serial_number


def presented(connection: ssl.SSLObject | ssl.SSLSocket) -> int:
    """Return the serial number of the server's certificate."""
    certificate = connection.getpeercert()
    assert certificate is not None
    return int(str(certificate["serialNumber"]), 16)
