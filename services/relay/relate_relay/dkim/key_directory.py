"""The directory of private DKIM keys: PEM files, one per domain and selector, that only their owner can access.

A file has the name of the TXT record, such as `2026a._domainkey.example.test`, and the RSA key, the Ed25519 key after
it. Both are in one file, so that a crash never leaves one of them.
"""

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from relate_config.private import make_private_folder
from relate_outbound.dns.names import MAX_DOMAIN_CHARACTERS, to_ascii
from relate_relay.dkim.keys import ED25519_SUFFIX, MAX_RSA_BITS, MIN_RSA_BITS, NEW_RSA_BITS, SigningKeys, pair_keys

MAX_FILE_OCTETS = 16_384
"""Octets of a key file; one with the longest RSA key has some 3,500."""

MAX_LABEL_OCTETS = 63  # RFC 1035 §2.3.4

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")  # RFC 6376 §3.1, without upper case
_PEM = re.compile(rb"-----BEGIN (?P<kind>[A-Z ]*PRIVATE KEY)-----[^-]*+-----END (?P=kind)-----")


class KeyFault(Enum):
    """Why a key cannot be used or created."""

    MISSING = "the key does not exist; restore it, or create another one with `relate domain add`"
    UNREADABLE = "the key cannot be read; it must be a file that the relay's user owns"
    UNWRITABLE = "the key cannot be written; the directory must have room, and the relay's user must own it"
    EXPOSED_FILE = "other users can access the key; run `chmod 600` on it, and replace it if they may have read it"
    EXPOSED_DIRECTORY = "other users can access the directory of keys; run `chmod 700` on it"
    MALFORMED = "the file is not an RSA key in PEM without a passphrase, alone or before an Ed25519 key; restore it"
    WRONG_SIZE = f"the RSA key has not {MIN_RSA_BITS} to {MAX_RSA_BITS} bits; replace it"
    EXISTS = "the key exists already; choose another selector"


class KeyUnusable(Exception):
    """A key cannot be used or created. The text has the path, the reason and a remedy, never a part of a key."""

    def __init__(self, fault: KeyFault, path: Path, error: OSError | None = None) -> None:
        reason = f" ({error.strerror})" if error is not None and error.strerror else ""
        super().__init__(f"{path}: {fault.value}{reason}")
        self.fault = fault
        self.path = path


class InvalidKeyName(ValueError):
    """A domain or a selector that cannot have a key."""


class KeyDirectory:
    """Reads and creates key files; its methods block. `path` is created with the first key."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def generate(self, domain: str, selector: str) -> SigningKeys:
        """Create the keys of a selector: RSA with NEW_RSA_BITS, and Ed25519. They are on disk when this returns.

        Raises KeyUnusable, also if the file exists, and InvalidKeyName.
        """
        domain, selector = _canonical_names(domain, selector)
        path = self._file(domain, selector)
        with _os_errors(KeyFault.UNWRITABLE, path):
            make_private_folder(self.path)
            self._check_directory()
            if path.exists():  # before keys are made, which takes long
                raise KeyUnusable(KeyFault.EXISTS, path)
            keys = pair_keys(
                domain, selector, rsa.generate_private_key(65_537, NEW_RSA_BITS), Ed25519PrivateKey.generate()
            )
            _create(path, _encode(keys))
        return keys

    def load(self, domain: str, selector: str) -> SigningKeys:
        """Read the keys of a selector. Raises KeyUnusable and InvalidKeyName."""
        domain, selector = _canonical_names(domain, selector)
        path = self._file(domain, selector)
        with _os_errors(KeyFault.UNREADABLE, path):
            self._check_directory()
            pem = _read_private(path)
        return _decode(pem, path, domain, selector)

    def delete(self, domain: str, selector: str) -> None:
        """Delete the keys of a selector; idempotent. Raises KeyUnusable and InvalidKeyName."""
        path = self._file(*_canonical_names(domain, selector))
        with _os_errors(KeyFault.UNWRITABLE, path):
            path.unlink(missing_ok=True)

    def _file(self, domain: str, selector: str) -> Path:
        return self.path / f"{selector}._domainkey.{domain}"

    def _check_directory(self) -> None:
        if self.path.exists() and _is_exposed(self.path.stat()):
            raise KeyUnusable(KeyFault.EXPOSED_DIRECTORY, self.path)


def _canonical_names(domain: str, selector: str) -> tuple[str, str]:
    """Domain and selector as in the DNS: labels without dots and slashes, which are safe in a file's name."""
    name = to_ascii(domain)
    if name is None:
        raise InvalidKeyName("the domain is not a host name")
    selector = selector.lower()
    longest = selector + ED25519_SUFFIX
    if not _SELECTOR.fullmatch(selector) or max(map(len, longest.split("."))) > MAX_LABEL_OCTETS:
        raise InvalidKeyName("a selector has labels of letters, digits and hyphens")
    if len(f"{longest}._domainkey.{name}") > MAX_DOMAIN_CHARACTERS:
        raise InvalidKeyName(f"the record's name would be longer than {MAX_DOMAIN_CHARACTERS} characters")
    return name, selector


def _is_exposed(status: os.stat_result) -> bool:
    return bool(status.st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _read_private(path: Path) -> bytes:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())  # of the opened file, because another may take its name
        if _is_exposed(status):
            raise KeyUnusable(KeyFault.EXPOSED_FILE, path)
        return file.read(MAX_FILE_OCTETS)


def _create(path: Path, octets: bytes) -> None:
    """Create a file atomically and flush it to disk. Raises KeyUnusable if it exists."""
    descriptor, draft = tempfile.mkstemp(prefix=".draft-", dir=path.parent)  # mode 0600
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no Path
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
        os.link(draft, path)  # unlike a rename, it does not replace
    except FileExistsError:
        raise KeyUnusable(KeyFault.EXISTS, path) from None
    finally:
        Path(draft).unlink()
    _flush_directory(path.parent)


def _flush_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _os_errors(fault: KeyFault, path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise KeyUnusable(KeyFault.MISSING if fault is KeyFault.UNREADABLE else fault, path) from None
    except OSError as error:
        raise KeyUnusable(fault, path, error) from error


def _encode(keys: SigningKeys) -> bytes:
    pair = (keys.rsa, keys.ed25519)
    return b"".join(
        key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for key in pair if key is not None
    )


def _decode(pem: bytes, path: Path, domain: str, selector: str) -> SigningKeys:
    try:
        private = [load_pem_private_key(block[0], None) for block in _PEM.finditer(pem)]
    except (TypeError, ValueError, UnsupportedAlgorithm):  # TypeError: the key is encrypted
        raise KeyUnusable(KeyFault.MALFORMED, path) from None
    match private:
        case [RSAPrivateKey() as first]:
            keys = pair_keys(domain, selector, first, None)
        case [RSAPrivateKey() as first, Ed25519PrivateKey() as second]:
            keys = pair_keys(domain, selector, first, second)
        case _:
            raise KeyUnusable(KeyFault.MALFORMED, path)
    if not MIN_RSA_BITS <= first.key_size <= MAX_RSA_BITS:
        raise KeyUnusable(KeyFault.WRONG_SIZE, path)
    return keys
