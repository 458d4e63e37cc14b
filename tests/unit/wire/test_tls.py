"""The development certificate, unusable certificates, and replaced certificates."""

import datetime
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from structlog.testing import capture_logs

from relate_wire import tls
from relate_wire.tls import (
    Certificate,
    CertificateError,
    DevelopmentCertificate,
    development_certificate,
    expiry,
    server_context,
)
from tests.support.certificates import Authority


def test_the_development_certificate_is_created_once_and_private(tmp_path: Path) -> None:
    first = development_certificate(tmp_path / "tls", "mail.example.test")
    octets = first.read_bytes()
    assert development_certificate(tmp_path / "tls", "mail.example.test").read_bytes() == octets
    assert first.stat().st_mode & 0o077 == 0
    server_context(first)


def test_concurrent_processes_use_the_same_development_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tls._self_signed
    faster: list[bytes] = []

    def overtaken(server_name: str) -> bytes:
        monkeypatch.setattr(tls, "_self_signed", make)
        faster.append(development_certificate(tmp_path, server_name).read_bytes())
        return make(server_name)

    monkeypatch.setattr(tls, "_self_signed", overtaken)
    path = development_certificate(tmp_path, "a.test")
    assert [path.read_bytes()] == faster
    assert list(tmp_path.iterdir()) == [path]
    server_context(path)


def test_an_error_names_the_missing_certificate(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"missing\.pem"):
        server_context(tmp_path / "missing.pem")


def test_a_certificate_without_its_key_is_an_error(tmp_path: Path) -> None:
    certificate = tmp_path / "only.pem"
    pem = development_certificate(tmp_path, "a.test").read_text()
    certificate.write_text(pem[pem.index("-----BEGIN CERTIFICATE") :])
    with pytest.raises(CertificateError, match=r"only\.pem"):
        server_context(certificate)


def test_a_key_with_a_passphrase_is_an_error_and_does_not_prompt(tmp_path: Path) -> None:
    path = tmp_path / "locked.pem"
    Authority().issue(path)
    pem = path.read_bytes()
    key = serialization.load_pem_private_key(pem, None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    path.write_bytes(locked + pem[pem.index(b"-----BEGIN CERTIFICATE") :])
    with pytest.raises(CertificateError, match=r"locked\.pem"):
        server_context(path)


# --- the development certificate is renewed


def create_with_validity(monkeypatch: pytest.MonkeyPatch, directory: Path, validity: datetime.timedelta) -> Path:
    """A development certificate with the given validity."""
    with monkeypatch.context() as patched:
        patched.setattr(tls, "DEVELOPMENT_VALIDITY", validity)
        return development_certificate(directory, "a.test")


def test_the_development_certificate_is_renewed_before_it_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = create_with_validity(monkeypatch, tmp_path, tls.RENEWAL_LEAD - datetime.timedelta(minutes=1))
    old = expiry(path)
    certificate = DevelopmentCertificate(tmp_path, "a.test")
    assert certificate.expires == expiry(path) > old + datetime.timedelta(days=365)
    assert path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == [path]


def test_the_development_certificate_is_not_renewed_too_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = create_with_validity(monkeypatch, tmp_path, tls.RENEWAL_LEAD + datetime.timedelta(hours=1))
    octets = path.read_bytes()
    assert development_certificate(tmp_path, "a.test").read_bytes() == octets


def test_a_running_server_renews_its_development_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_with_validity(monkeypatch, tmp_path, tls.RENEWAL_LEAD + datetime.timedelta(hours=1))
    certificate = DevelopmentCertificate(tmp_path, "a.test")
    assert not certificate.has_changed()
    monkeypatch.setattr(tls, "RENEWAL_LEAD", tls.RENEWAL_LEAD + datetime.timedelta(hours=2))
    monkeypatch.setattr(tls, "RENEWAL_RETRY_SECONDS", 0.0)
    assert certificate.has_changed()
    certificate.reload()
    assert not certificate.has_changed()


def test_a_development_certificate_is_used_if_renewal_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = create_with_validity(monkeypatch, tmp_path, tls.RENEWAL_LEAD / 2)

    def refuse(*_: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    with capture_logs() as logs:
        certificate = DevelopmentCertificate(tmp_path, "a.test")
    assert certificate.expires == expiry(path)
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert logs[0]["path"] == str(path)
    assert "Read-only" in logs[0]["reason"]
    assert not certificate.has_changed()  # no retry each minute
    assert list(tmp_path.iterdir()) == [path]


# --- replaced certificates


def test_a_replaced_certificate_is_detected_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    authority = Authority()
    authority.issue(path, days=10)
    certificate = Certificate(path)
    before = certificate.context
    assert not certificate.has_changed()
    authority.issue(path, days=80)
    assert certificate.has_changed()
    certificate.reload()
    assert not certificate.has_changed()
    assert certificate.context is not before
    assert certificate.expires - datetime.datetime.now(datetime.UTC) > datetime.timedelta(days=79)


def test_replacing_a_file_by_an_older_one_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    Authority().issue(path)
    certificate = Certificate(path)
    status = path.stat()
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    copy.replace(path)
    assert certificate.has_changed()


def _truncate(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def _remove(path: Path, _: Path) -> None:
    path.unlink()


def _empty(_: Path, key: Path) -> None:
    key.write_bytes(b"")


def _other_key(_: Path, key: Path) -> None:
    Authority().issue(key.with_name("other.pem"), key)


@pytest.mark.parametrize("break_it", [_truncate, _remove, _empty, _other_key])
def test_a_broken_new_certificate_leaves_the_old_one_in_use(
    tmp_path: Path, break_it: Callable[[Path, Path], None]
) -> None:
    path, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    authority = Authority()
    authority.issue(path, key)
    certificate = Certificate(path, key)
    context, expires = certificate.context, certificate.expires
    break_it(path, key)
    assert certificate.has_changed()
    with pytest.raises(CertificateError, match=r"chain\.pem"):
        certificate.reload()
    assert (certificate.context, certificate.expires) == (context, expires)
    assert not certificate.is_newest
    assert not certificate.has_changed()  # the same broken files are not reloaded each minute
    authority.issue(path, key)
    assert certificate.has_changed()
    certificate.reload()
    assert certificate.is_newest
