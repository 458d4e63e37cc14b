"""Other users of the machine cannot read the product's files."""

import stat
from pathlib import Path

import pytest

from tests.integration.product.accounts import message
from tests.support.product import ADDRESS, Product


def modes(folder: Path) -> dict[str, str]:
    """The modes of a folder and of everything below it."""
    return {
        str(path.relative_to(folder.parent)): f"{stat.S_IMODE(path.stat().st_mode):o}"
        for path in (folder, *sorted(folder.rglob("*")))
    }


@pytest.fixture
def product(tmp_path: Path) -> Product:
    """A product whose files are all in `var/`, as in an installation."""
    return Product(tmp_path, "sqlite:///var/relate.db")


def test_files_of_a_server_are_private(product: Product) -> None:
    with product:
        assert product.relate("user", "add", ADDRESS).returncode == 0
        product.start()
        with product.mx() as client:
            client.send_message(message("ann@example.org", ADDRESS))
        modes_by_path = modes(product.directory / "var")
    assert {f"var/relate.db{suffix}" for suffix in ("", "-wal", "-shm", ".reserve")} <= {*modes_by_path}
    assert {"var", "var/tls", "var/tls/localhost.pem"} <= {*modes_by_path}
    assert set(modes_by_path.values()) == {"600", "700"}


def test_a_start_makes_public_files_private_and_the_doctor_reports_them(product: Product) -> None:
    var = product.directory / "var"
    with product:
        product.start()
        product.stop()
        for path in (var, *var.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        before = " ".join(product.relate("doctor").stdout.split())
        assert "readable by others: var," in before
        assert "var/relate.db.reserve" in before
        assert "var/tls/localhost.pem" in before
        product.start()
        after = " ".join(product.relate("doctor").stdout.split())
        assert "readable by others" not in after
    assert set(modes(var).values()) == {"600", "700"}


def test_administration_makes_public_files_private(product: Product) -> None:
    var = product.directory / "var"
    with product:
        product.relate("migrate")
        (var / "relate.db").chmod(0o644)
        var.chmod(0o755)
        assert product.relate("user", "list").returncode == 0
    assert set(modes(var).values()) == {"600", "700"}


def test_the_doctor_reports_a_secret_that_others_can_read(product: Product) -> None:
    secret = product.directory / "secret"
    secret.write_text("x" * 32)
    with product:
        for mode, reported in ((0o640, False), (0o644, True)):
            secret.chmod(mode)
            done = product.relate("doctor", Accounts__KeyHashSecret__File=str(secret))
            assert (f"readable by others: {secret}" in " ".join(done.stdout.split())) is reported
