"""Certificates: the development one, and one that cannot be used."""

from pathlib import Path

import pytest

from relate_wire import tls
from relate_wire.tls import CertificateError, development_certificate, server_context


def test_the_development_certificate_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = development_certificate(tmp_path / "tls", "mail.example.test")
    octets = first.read_bytes()
    assert development_certificate(tmp_path / "tls", "mail.example.test").read_bytes() == octets
    assert first.stat().st_mode & 0o077 == 0
    server_context(first)


def test_processes_that_make_the_development_certificate_at_once_use_the_same(
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


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"missing\.pem"):
        server_context(tmp_path / "missing.pem")


def test_a_certificate_without_its_key_is_an_error(tmp_path: Path) -> None:
    certificate = tmp_path / "only.pem"
    whole = development_certificate(tmp_path, "a.test").read_text()
    certificate.write_text(whole[whole.index("-----BEGIN CERTIFICATE") :])
    with pytest.raises(CertificateError, match=r"only\.pem"):
        server_context(certificate)
