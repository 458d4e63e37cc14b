"""Migration of an account from Dovecot, and export to files."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tests.integration.transfer.account_contents import (
    FOLDERS,
    dovecot_contents,
    fill_dovecot,
    product_contents,
    subscriptions,
)
from tests.support.imap.dovecot import PASSWORD, Dovecot
from tests.support.product import ADDRESS, HOST, TIMEOUT_SECONDS, Product
from tests.support.stalling import stalling_proxy

MANY_MESSAGES = pytest.param(1000, id="large", marks=[pytest.mark.long, pytest.mark.timeout(600)])


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    return path


def database(product: Product) -> str:
    return product.environment["ConnectionStrings__DefaultConnection"]


def run_relate(product: Product, *arguments: str | Path, status: int = 0) -> str:
    """Run `relate` and return its output."""
    done = product.relate_in_process(*map(str, arguments))
    assert done.exit_code == status, done.output
    return done.output


@pytest.mark.parametrize("messages", [pytest.param(60, id="small"), MANY_MESSAGES])
def test_an_account_is_unchanged_after_import_and_export(
    product: Product, dovecot: Dovecot, password: Path, tmp_path: Path, messages: int
) -> None:
    user = f"{tmp_path.name}.{messages}".lower()
    fill_dovecot(dovecot, user, messages)
    source_contents = dovecot_contents(dovecot, user)
    source = ("import", ADDRESS, f"imap://{user}@{HOST}:{dovecot.port}", "--password-file", password)

    assert f"imported {messages + 1} messages" in run_relate(product, *source)
    assert product_contents(database(product), ADDRESS) == source_contents
    assert subscriptions(database(product), ADDRESS) >= {*FOLDERS} - {"Lists"}
    assert "Lists" not in subscriptions(database(product), ADDRESS)

    assert f"imported 0 messages (0 octets) from 13 mailboxes, {messages + 1} already present" in run_relate(
        product, *source
    )
    assert product_contents(database(product), ADDRESS) == source_contents

    for format_ in ("maildir", "eml", "mbox"):
        address = f"{format_}@example.test"
        run_relate(product, "user", "add", address)
        run_relate(product, "export", ADDRESS, tmp_path / format_, "--format", format_)
        run_relate(product, "import", address, tmp_path / format_)
        assert product_contents(database(product), address) == source_contents, format_
        assert "imported 0 messages" in run_relate(product, "import", address, tmp_path / format_)


@pytest.mark.parametrize("messages", [pytest.param(400, id="small"), MANY_MESSAGES])
async def test_a_killed_import_is_completed_by_running_it_again(
    product: Product, dovecot: Dovecot, password: Path, tmp_path: Path, messages: int
) -> None:
    user = f"killed.{tmp_path.name}.{messages}".lower()
    await asyncio.to_thread(fill_dovecot, dovecot, user, messages)
    source_contents = await asyncio.to_thread(dovecot_contents, dovecot, user)
    octets = sum(len(mailbox) for mailbox in source_contents.values()) * 1500  # about half of the account
    options = ("--password-file", str(password))

    async with stalling_proxy(dovecot.port, octets) as proxy:
        arguments = ("-m", "relate", "import", ADDRESS, f"imap://{user}@{HOST}:{proxy.port}", *options)
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=product.environment, cwd=product.directory
        )
        await asyncio.wait_for(proxy.stalled.wait(), TIMEOUT_SECONDS)
        process.send_signal(signal.SIGKILL)
        await process.wait()

    before = await asyncio.to_thread(product_contents, database(product), ADDRESS)
    stored = sum(len(mailbox) for mailbox in before.values())
    assert 0 < stored < messages
    again = await asyncio.to_thread(
        run_relate, product, "import", ADDRESS, f"imap://{user}@{HOST}:{dovecot.port}", *options
    )
    assert f"imported {messages + 1 - stored} messages" in again
    assert await asyncio.to_thread(product_contents, database(product), ADDRESS) == source_contents


def test_a_repeated_import_adds_only_new_messages(
    product: Product, dovecot: Dovecot, password: Path, tmp_path: Path
) -> None:
    user = f"new.{tmp_path.name}".lower()
    fill_dovecot(dovecot, user, 10)
    source = ("import", ADDRESS, f"imap://{user}@{HOST}:{dovecot.port}", "--password-file", password)
    run_relate(product, *source)
    fill_dovecot(dovecot, user, 20)  # ten duplicates, ten new messages, and a third copy of one in INBOX
    assert "imported 21 messages" in run_relate(product, *source)
    assert product_contents(database(product), ADDRESS) == dovecot_contents(dovecot, user)


def test_the_quota_applies_unless_ignored(product: Product, dovecot: Dovecot, password: Path, tmp_path: Path) -> None:
    user = f"quota.{tmp_path.name}".lower()
    fill_dovecot(dovecot, user, 20)
    run_relate(product, "user", "add", "small@example.test", "--quota", "9000")
    source = (f"imap://{user}@{HOST}:{dovecot.port}", "--password-file", str(password))
    refused = product.relate("import", "small@example.test", *source)
    assert refused.returncode == 1
    assert "quota" in refused.stderr
    assert "already present" in run_relate(product, "import", "small@example.test", *source, "--ignore-quota")
    assert product_contents(database(product), "small@example.test") == dovecot_contents(dovecot, user)


@pytest.mark.parametrize("where", ["argument", "wrong", "none"])
def test_a_password_is_refused_in_the_url_and_never_printed(
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
    messages = {"argument": "password in a URL", "wrong": "refused the login", "none": "--password-file"}
    assert messages[where] in done.stderr
