"""The directory of DKIM keys."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from relate_relay.dkim import key_directory
from relate_relay.dkim.key_directory import InvalidKeyName, KeyDirectory, KeyFault, KeyUnusable
from relate_relay.dkim.keys import NEW_RSA_BITS, public_record

DOMAIN, SELECTOR = "example.test", "2026a"
RECORD_NAME = "2026a._domainkey.example.test"
RSA = rsa.generate_private_key(65_537, 1_024)


def pem(
    key: rsa.RSAPrivateKey | Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
    encryption: KeySerializationEncryption | None = None,
    form: PrivateFormat = PrivateFormat.PKCS8,
) -> bytes:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


@pytest.fixture
def directory(tmp_path: Path) -> KeyDirectory:
    (tmp_path / "keys").mkdir(0o700)
    return KeyDirectory(tmp_path / "keys")


def place(directory: KeyDirectory, octets: bytes, mode: int = 0o600) -> Path:
    path = directory.path / RECORD_NAME
    path.write_bytes(octets)
    path.chmod(mode)
    return path


def fault_of_load(directory: KeyDirectory) -> KeyFault:
    with pytest.raises(KeyUnusable) as raised:
        directory.load(DOMAIN, SELECTOR)
    assert str(raised.value).startswith(str(raised.value.path))
    return raised.value.fault


def test_generated_keys_are_loaded_again(tmp_path: Path) -> None:
    directory = KeyDirectory(tmp_path / "missing" / "keys")
    made, loaded = directory.generate(DOMAIN, SELECTOR), directory.load(DOMAIN, SELECTOR)

    assert made.ed25519 is not None
    assert loaded.ed25519 is not None
    assert public_record(loaded.rsa) == public_record(made.rsa)
    assert public_record(loaded.ed25519) == public_record(made.ed25519)
    assert isinstance(made.rsa.private, rsa.RSAPrivateKey)
    assert made.rsa.private.key_size == NEW_RSA_BITS


def test_files_are_private(tmp_path: Path) -> None:
    directory = KeyDirectory(tmp_path / "keys")
    directory.generate(DOMAIN, SELECTOR)
    (file,) = directory.path.iterdir()

    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.name == RECORD_NAME


def test_a_key_that_exists_is_not_replaced(directory: KeyDirectory) -> None:
    path = place(directory, b"precious")
    with pytest.raises(KeyUnusable) as raised:
        directory.generate(DOMAIN, SELECTOR)

    assert raised.value.fault is KeyFault.EXISTS
    assert path.read_bytes() == b"precious"


def test_a_key_that_another_process_just_created_is_not_replaced(
    directory: KeyDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place(directory, b"precious")
    monkeypatch.setattr(Path, "exists", lambda path: False)
    with pytest.raises(KeyUnusable) as raised:
        directory.generate(DOMAIN, SELECTOR)

    assert raised.value.fault is KeyFault.EXISTS
    assert path.read_bytes() == b"precious"
    assert [*directory.path.iterdir()] == [path]  # and no draft is left


def test_a_domain_is_stored_as_a_labels(directory: KeyDirectory) -> None:
    directory.generate("BÜCHER.example", "S")

    assert [path.name for path in directory.path.iterdir()] == ["s._domainkey.xn--bcher-kva.example"]
    assert directory.load("xn--bcher-kva.example", "s").rsa.domain == "xn--bcher-kva.example"


NAMES = {
    "a path": ("../example.test", "s"),
    "an absolute path": ("/etc/passwd", "s"),
    "no domain": ("", "s"),
    "a line end": ("example.test\n", "s"),
    "NUL": ("example.test\0", "s"),
    "dots": ("..", "s"),
    "a selector that is a path": ("example.test", "../s"),
    "a selector that is hidden": ("example.test", ".s"),
    "an empty selector": ("example.test", ""),
    "a selector with a line end": ("example.test", "s\n"),
    "a selector with an underscore": ("example.test", "a_b"),
    "a selector that is not ASCII": ("example.test", "ü"),
    "a label that is too long": ("example.test", "s" * 56),
    "a name that is too long": (".".join(["a" * 60] * 4), "s" * 10),
}


@pytest.mark.parametrize(("domain", "selector"), NAMES.values(), ids=NAMES)
def test_an_unsafe_name_is_refused(directory: KeyDirectory, domain: str, selector: str) -> None:
    for method in (directory.generate, directory.load):
        with pytest.raises(InvalidKeyName):
            method(domain, selector)
    assert [*directory.path.parent.rglob("*")] == [directory.path]


def test_the_longest_names_are_accepted(directory: KeyDirectory) -> None:
    domain = ".".join(["a" * 60] * 3)

    assert directory.generate(domain, f"{'s' * 43}.b").rsa.domain == domain
    assert directory.load(domain, f"{'s' * 43}.b").rsa.domain == domain


def test_an_rsa_key_of_other_software_is_accepted(directory: KeyDirectory) -> None:  # PKCS #1, with 1,024 bits
    place(directory, b"# a comment\n" + pem(RSA, form=PrivateFormat.TraditionalOpenSSL))
    keys = directory.load(DOMAIN, SELECTOR)

    assert keys.rsa.record_name == RECORD_NAME
    assert keys.ed25519 is None


def test_a_missing_key(directory: KeyDirectory, tmp_path: Path) -> None:
    assert fault_of_load(directory) is KeyFault.MISSING
    assert fault_of_load(KeyDirectory(tmp_path / "nowhere")) is KeyFault.MISSING


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_file_that_others_can_access_is_refused(directory: KeyDirectory, mode: int) -> None:
    place(directory, pem(RSA), mode)

    assert fault_of_load(directory) is KeyFault.EXPOSED_FILE


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_directory_that_others_can_access_is_refused(directory: KeyDirectory, mode: int) -> None:
    place(directory, pem(RSA))
    directory.path.chmod(mode)

    assert fault_of_load(directory) is KeyFault.EXPOSED_DIRECTORY
    with pytest.raises(KeyUnusable):
        directory.generate(DOMAIN, "other")


def test_an_unreadable_key(directory: KeyDirectory) -> None:
    (directory.path / RECORD_NAME).mkdir(0o700)

    assert fault_of_load(directory) is KeyFault.UNREADABLE
    with pytest.raises(KeyUnusable, match=r"must be a file that the relay's user owns \(Is a directory\)$"):
        directory.load(DOMAIN, SELECTOR)


def test_a_directory_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyUnusable) as raised:
        KeyDirectory(tmp_path / "file" / "keys").generate(DOMAIN, SELECTOR)

    assert raised.value.fault is KeyFault.UNWRITABLE


MALFORMED = {
    "empty": b"",
    "no PEM": b"text",
    "truncated": pem(RSA)[:-40],
    "damaged": pem(RSA).replace(b"A", b"B", 5),
    "encrypted": pem(RSA, BestAvailableEncryption(b"passphrase")),
    "of another kind": pem(ec.generate_private_key(ec.SECP256R1())),
    "Ed25519 alone": pem(Ed25519PrivateKey.generate()),
    "RSA twice": pem(RSA) * 2,
    "beyond the limit": b"#" * 20_000 + pem(RSA),
}


@pytest.mark.parametrize("octets", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_key_is_refused_without_showing_it(directory: KeyDirectory, octets: bytes) -> None:
    place(directory, octets)
    with pytest.raises(KeyUnusable) as raised:
        directory.load(DOMAIN, SELECTOR)

    assert raised.value.fault is KeyFault.MALFORMED
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize(("limit", "bits"), [("MIN_RSA_BITS", 1_025), ("MAX_RSA_BITS", 1_023)])
def test_an_rsa_key_of_another_size_is_refused(  # RFC 8301 §3.2
    directory: KeyDirectory, monkeypatch: pytest.MonkeyPatch, limit: str, bits: int
) -> None:
    place(directory, pem(RSA))
    monkeypatch.setattr(key_directory, limit, bits)

    assert fault_of_load(directory) is KeyFault.WRONG_SIZE
