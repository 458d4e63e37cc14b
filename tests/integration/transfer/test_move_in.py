"""An account moves in from Dovecot, and out again."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tests.integration.transfer.account import FOLDERS, dovecot_manifest, fill_dovecot, product_manifest, subscriptions
from tests.support.imap.dovecot import PASSWORD, Dovecot
from tests.support.product import ADDRESS, HOST, TIMEOUT_SECONDS, Product
from tests.support.stalling import stalling_proxy

LARGE = pytest.param(1000, id="large", marks=[pytest.mark.long, pytest.mark.timeout(600)])


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    return path


def database(product: Product) -> str:
    return product.environment["ConnectionStrings__DefaultConnection"]


def expect(product: Product, *arguments: str | Path, status: int = 0) -> str:
    """Run `relate`; what it printed."""
    done = product.relate_in_process(*map(str, arguments))
    assert done.exit_code == status, done.output
    return done.output


@pytest.mark.parametrize("messages", [pytest.param(60, id="small"), LARGE])
def test_an_account_moves_in_and_out_again_without_a_difference(
    product: Product, dovecot: Dovecot, password: Path, tmp_path: Path, messages: int
) -> None:
    user = f"{tmp_path.name}.{messages}".lower()
    fill_dovecot(dovecot, user, messages)
    there = dovecot_manifest(dovecot, user)
    source = ("import", ADDRESS, f"imap://{user}@{HOST}:{dovecot.port}", "--password-file", password)

    assert f"imported {messages + 1} messages" in expect(product, *source)
    assert product_manifest(database(product), ADDRESS) == there
    assert subscriptions(database(product), ADDRESS) >= {*FOLDERS} - {"Lists"}
    assert "Lists" not in subscriptions(database(product), ADDRESS)

    assert f"imported 0 messages (0 octets) of 13 mailboxes, {messages + 1} were there" in expect(product, *source)
    assert product_manifest(database(product), ADDRESS) == there

    for form in ("maildir", "eml", "mbox"):
        address = f"{form}@example.test"
        expect(product, "user", "add", address)
        expect(product, "export", ADDRESS, tmp_path / form, "--format", form)
        expect(product, "import", address, tmp_path / form)
        assert product_manifest(database(product), address) == there, form
        assert "imported 0 messages" in expect(product, "import", address, tmp_path / form)


@pytest.mark.parametrize("messages", [pytest.param(400, id="small"), LARGE])
async def test_an_import_that_was_killed_is_run_again_to_the_same_end(
    product: Product, dovecot: Dovecot, password: Path, tmp_path: Path, messages: int
) -> None:
    user = f"killed.{tmp_path.name}.{messages}".lower()
    await asyncio.to_thread(fill_dovecot, dovecot, user, messages)
    there = await asyncio.to_thread(dovecot_manifest, dovecot, user)
    octets = sum(len(mailbox) for mailbox in there.values()) * 1500  # half of what is fetched, about
    options = ("--password-file", str(password))

    async with stalling_proxy(dovecot.port, octets) as proxy:
        arguments = ("-m", "relate", "import", ADDRESS, f"imap://{user}@{HOST}:{proxy.port}", *options)
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=product.environment, cwd=product.directory
        )
        await asyncio.wait_for(proxy.stalled.wait(), TIMEOUT_SECONDS)
        process.send_signal(signal.SIGKILL)
        await process.wait()

    before = await asyncio.to_thread(product_manifest, database(product), ADDRESS)
    stored = sum(len(mailbox) for mailbox in before.values())
    assert 0 < stored < messages
    again = await asyncio.to_thread(
        expect, product, "import", ADDRESS, f"imap://{user}@{HOST}:{dovecot.port}", *options
    )
    assert f"imported {messages + 1 - stored} messages" in again
    assert await asyncio.to_thread(product_manifest, database(product), ADDRESS) == there


def test_an_import_that_is_run_again_brings_only_what_is_new(
    product: Product, dovecot: Dovecot, password: Path, tmp_path: Path
) -> None:
    user = f"new.{tmp_path.name}".lower()
    fill_dovecot(dovecot, user, 10)
    source = ("import", ADDRESS, f"imap://{user}@{HOST}:{dovecot.port}", "--password-file", password)
    expect(product, *source)
    fill_dovecot(dovecot, user, 20)  # ten that are there twice now, ten new ones, and the twin of INBOX a third time
    assert "imported 21 messages" in expect(product, *source)
    assert product_manifest(database(product), ADDRESS) == dovecot_manifest(dovecot, user)


def test_a_quota_holds_unless_it_is_to_be_ignored(
    product: Product, dovecot: Dovecot, password: Path, tmp_path: Path
) -> None:
    user = f"quota.{tmp_path.name}".lower()
    fill_dovecot(dovecot, user, 20)
    expect(product, "user", "add", "small@example.test", "--quota", "9000")
    source = (f"imap://{user}@{HOST}:{dovecot.port}", "--password-file", str(password))
    refused = product.relate("import", "small@example.test", *source)
    assert refused.returncode == 1
    assert "quota" in refused.stderr
    assert "were there" in expect(product, "import", "small@example.test", *source, "--ignore-quota")
    assert product_manifest(database(product), "small@example.test") == dovecot_manifest(dovecot, user)


@pytest.mark.parametrize("where", ["argument", "wrong", "none"])
def test_a_password_never_stands_in_the_url_and_is_never_shown(
    product: Product, dovecot: Dovecot, tmp_path: Path, where: str
) -> None:
    path = tmp_path / "wrong"
    path.write_text("marked-secret")
    user = "alice:marked-secret" if where == "argument" else "alice"
    options = ["--password-file", str(path)] if where == "wrong" else []
    done = product.relate("import", ADDRESS, f"imap://{user}@{HOST}:{dovecot.port}", *options)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "marked-secret" not in done.stdout + done.stderr
    said = {"argument": "password in a URL", "wrong": "refused the login", "none": "--password-file"}
    assert said[where] in done.stderr
