"""Certificates that an authority of the tests' own has issued, and the authority that clients trust."""

import datetime
import ssl
from pathlib import Path

import trustme
from cryptography import x509


class Authority:
    """Issues certificates for localhost; `trusting` is a client's context that trusts it alone."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.trusting = ssl.create_default_context()
        self._authority.configure_trust(self.trusting)

    def issue(self, path: Path, key: Path | None = None, days: int = 90) -> int:
        """Write a certificate for localhost, and its key to the same file or another one; its serial number."""
        ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        issued = self._authority.issue_cert("localhost", "127.0.0.1", not_after=ends)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        draft = path.with_suffix(".new")  # replaced at once, as ACME clients do
        if key is None:
            draft.write_bytes(issued.private_key_pem.bytes() + chain)
        else:
            key.write_bytes(issued.private_key_pem.bytes())
            draft.write_bytes(chain)
        draft.replace(path)
        return serial(issued.cert_chain_pems[0].bytes())


def serial(pem: bytes) -> int:
    """The serial number of a certificate."""
    return x509.load_pem_x509_certificate(pem).serial_number


def presented(connection: ssl.SSLObject | ssl.SSLSocket) -> int:
    """The serial number of the certificate that the server presented on this connection."""
    certificate = connection.getpeercert()
    assert certificate is not None
    return int(str(certificate["serialNumber"]), 16)
