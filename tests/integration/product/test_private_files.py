"""Nothing that the product keeps can be read by other users of the machine."""

import stat
from pathlib import Path

import pytest

from tests.integration.product.accounts import message
from tests.support.product import ADDRESS, Product


def modes(folder: Path) -> dict[str, str]:
    """The modes of a folder and of all that is below it."""
    return {
        str(path.relative_to(folder.parent)): f"{stat.S_IMODE(path.stat().st_mode):o}"
        for path in (folder, *sorted(folder.rglob("*")))
    }


@pytest.fixture
def product(tmp_path: Path) -> Product:
    """Where it is in real life: all in `var/`."""
    return Product(tmp_path, "sqlite:///var/relate.db")


def test_what_a_server_makes_is_private(product: Product) -> None:
    with product:
        assert product.relate("user", "add", ADDRESS).returncode == 0
        product.start()
        with product.mx() as client:
            client.send_message(message("ann@example.org", ADDRESS))
        found = modes(product.directory / "var")
    assert {f"var/relate.db{suffix}" for suffix in ("", "-wal", "-shm", ".reserve")} <= {*found}
    assert {"var", "var/tls", "var/tls/localhost.pem"} <= {*found}
    assert set(found.values()) == {"600", "700"}


def test_what_was_open_to_others_is_made_private_at_start_and_the_doctor_says_so_before(product: Product) -> None:
    var = product.directory / "var"
    with product:
        product.start()
        product.stop()
        for path in (var, *var.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        before = " ".join(product.relate("doctor").stdout.split())
        assert "open to others: var," in before
        assert "var/relate.db.reserve" in before
        assert "var/tls/localhost.pem" in before
        product.start()
        after = " ".join(product.relate("doctor").stdout.split())
        assert "open to others" not in after
    assert set(modes(var).values()) == {"600", "700"}


def test_administration_makes_what_was_open_private(product: Product) -> None:
    var = product.directory / "var"
    with product:
        product.relate("migrate")
        (var / "relate.db").chmod(0o644)
        var.chmod(0o755)
        assert product.relate("user", "list").returncode == 0
    assert set(modes(var).values()) == {"600", "700"}


def test_the_doctor_names_a_secret_that_others_can_read(product: Product) -> None:
    secret = product.directory / "secret"
    secret.write_text("x" * 32)
    with product:
        for mode, said in ((0o640, False), (0o644, True)):
            secret.chmod(mode)
            done = product.relate("doctor", Accounts__KeyHashSecret__File=str(secret))
            assert (f"open to others: {secret}" in " ".join(done.stdout.split())) is said
