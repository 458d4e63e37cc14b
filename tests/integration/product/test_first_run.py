"""The first ten minutes: README's commands, database discovery, and the remedies in errors."""

import base64
import imaplib
import poplib
import re
import shutil
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.product.accounts import Account
from tests.support.product import HOST, READY, TIMEOUT_SECONDS, Product

REPOSITORY = Path(__file__).parents[3]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
DOCUMENTED_PORTS = {
    "2587": "Smtp__Port",
    "2143": "Imap__Port",
    "2110": "Pop3__Port",
    "8443": "Api__SecurePort",
}


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Product]:
    """A clone without any setting except the ports, as `make run` starts it."""
    directory = tmp_path / "clone"
    directory.mkdir()
    (directory / ".venv").symlink_to(sys.prefix)
    (directory / "examples").symlink_to(REPOSITORY / "examples")
    with Product(directory) as product:
        del product.environment["ConnectionStrings__DefaultConnection"]
        yield product


def readme_block(after: str) -> str:
    """The shell block of README after this text."""
    return README.partition(after)[2].partition("```sh\n")[2].partition("```")[0]


def run_elsewhere(product: Product, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `relate` in another directory than the server's."""
    directory.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "relate", *arguments],
        cwd=directory,
        env=product.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_of_readme_work_as_printed(clone: Product) -> None:
    clone.start("--demo")
    script = readme_block("In another terminal")
    for documented, name in DOCUMENTED_PORTS.items():
        assert f":{documented}" in script
        script = script.replace(f":{documented}", f":{clone.ports[name]}")
    done = subprocess.run(
        ["bash", "-e"],
        input=script,
        cwd=clone.directory,
        env=clone.environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    by_imap, by_pop3, by_api = re.split(r"(?=Return-Path:)|(?=\{\"items\")", done.stdout)[1:]
    for raw in (by_imap, by_pop3):
        assert "Subject: Hello" in raw
    assert by_api.index("hello@example.test") < by_api.index("welcome@example.test")


def test_the_console_shows_one_line_per_command_with_its_user(clone: Product) -> None:
    clone.start("--demo")
    key = run_elsewhere(
        clone, clone.directory, "key", "create", "demo@example.test", "--name", "k", "--scope", "pop3"
    ).stdout.strip()
    with clone.pop3("demo@example.test", key) as client:
        client.stat()
    assert clone.stdout.wait_for("pop3 QUIT")
    lines = clone.stdout.text.splitlines()
    form = r"\d\d:\d\d:\d\d\.\d{3} +\d+\.\d{3} ms  (smtp|pop3|imap|api) \S+ .*"
    assert [line for line in lines if not re.fullmatch(form, line)] == []
    (stat,) = [line for line in lines if "pop3 STAT" in line]
    assert "demo@example.test" in stat
    assert stat.endswith("ok +OK")


def test_commands_find_the_running_servers_database_from_any_directory(clone: Product, tmp_path: Path) -> None:
    clone.start()
    done = run_elsewhere(clone, tmp_path / "elsewhere", "user", "add", "alice@example.test")
    path = clone.directory / "var" / "relate.db"
    assert done.stderr == f"relate: the database is {path} (of the running server)\n"
    clone.stop()
    listed = run_elsewhere(clone, tmp_path / "elsewhere", "user", "list", "--json")
    assert "alice@example.test" in listed.stdout
    assert f"{path} (of the last server)" in listed.stderr


def test_a_new_database_is_announced_and_found_by_the_server(clone: Product, tmp_path: Path) -> None:
    done = run_elsewhere(clone, tmp_path / "elsewhere", "user", "add", "alice@example.test")
    path = tmp_path / "elsewhere" / "var" / "relate.db"
    assert f"created a new database at {path}\n" in done.stderr
    clone.start()
    assert str(path) in clone.stderr.text.partition(READY)[2]


def test_only_a_valid_key_learns_that_its_scope_is_missing(product: Product, alice: Account) -> None:
    right = product.create_key(alice.address, ["api:read"], "reader")
    for key, explained in ((right, True), (right[:-1] + ("A" if right[-1] != "A" else "B"), False)):
        for refusal in (smtp_refusal, pop3_refusal, imap_refusal):
            protocol = refusal.__name__.partition("_")[0]
            reply = refusal(product, alice.address, key)
            assert (f"The key is right, but lacks the scope {protocol}" in reply) is explained, reply
            assert "right" not in reply or explained


def smtp_refusal(product: Product, address: str, key: str) -> str:
    with product.submission() as client:
        client.ehlo()
        response = base64.b64encode(f"\0{address}\0{key}".encode()).decode()
        code, text = client.docmd("AUTH", f"PLAIN {response}")
        assert code == 535
        return text.decode()


def pop3_refusal(product: Product, address: str, key: str) -> str:
    with product.pop3() as client:
        client.user(address)
        with pytest.raises(poplib.error_proto, match=r"\[AUTH\]") as refused:
            client.pass_(key)
        return str(refused.value)


def imap_refusal(product: Product, address: str, key: str) -> str:
    with imaplib.IMAP4(HOST, product.ports["Imap__Port"], timeout=TIMEOUT_SECONDS) as client:
        with pytest.raises(imaplib.IMAP4.error, match=r"\[AUTH[A-Z]+FAILED\]") as refused:
            client.login(address, key)
        return str(refused.value)


def test_a_message_with_bare_lf_is_refused_with_a_remedy(product: Product, alice: Account) -> None:
    with product.mx() as client:
        client.ehlo()
        client.mail("a@example.org")
        client.rcpt(alice.address)
        client.docmd("DATA")
        client.send(b"Subject: unix\n\nhello\n\r\n.\r\n")
        code, text = client.getreply()
    assert code == 550
    for remedy in (b"5.6.0", b"curl --crlf", b"unix2dos"):
        assert remedy in text


def test_a_catch_all_receives_mail_for_unknown_addresses_of_its_domain(product: Product, alice: Account) -> None:
    domain = f"{alice.address.partition('@')[0]}.example"
    product.relate_json("user", "alias", alice.address, f"*@{domain}")
    removed = f"removed@{domain}"
    product.relate_json("user", "add", removed)
    product.relate_json("user", "remove", removed, "--yes")
    with product.mx() as client:
        client.sendmail("a@example.org", [f"anything@{domain}"], "Subject: any\r\n\r\n")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("a@example.org", [removed], "Subject: removed\r\n\r\n")
    (inbox, *_) = product.relate_json("mailbox", "list", alice.address)
    assert (inbox["name"], inbox["messages"], inbox["unread"]) == ("INBOX", 1, 1)


def test_an_unknown_address_in_a_named_domain_is_no_users(product: Product, alice: Account) -> None:
    domain = f"named-by-{alice.address.partition('@')[0]}.example"

    def refusal() -> str:
        with product.mx() as client, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail("a@example.org", [f"anyone@{domain}"], "Subject: any\r\n\r\n")
        (reply,) = refused.value.recipients.values()
        return reply[1].decode()[:5]

    assert product.relate_json("domain", "add", domain.upper()) == {"name": domain}
    assert refusal() == "5.1.1"
    (named,) = [row for row in product.relate_json("domain", "list") if row["name"] == domain]
    assert named["addresses"] == 0
    assert named["added"]
    assert product.relate("domain", "add", "not a domain").returncode == 1


def test_a_removal_requires_confirmation(product: Product, alice: Account) -> None:
    done = product.relate("user", "remove", alice.address)
    assert done.returncode == 1
    assert "cannot be undone" in done.stderr
    assert product.relate_json("user", "show", alice.address)["usableKeys"] == 1


def test_a_server_starts_after_its_demo_account_was_removed(clone: Product) -> None:
    clone.start("--demo")
    clone.relate("user", "remove", "demo@example.test", "--yes")
    clone.stop()
    clone.start("--demo")
    assert clone.stderr.wait_for("There is no demo account: the address belonged to a user who was removed")


def test_a_directory_that_cannot_be_created_is_named_with_its_variable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Product(tmp_path, f"sqlite:///{tmp_path}/file/relate.db") as product:
        done = product.relate("serve")
    assert done.returncode == 1
    assert done.stderr.startswith(f"relate: the folder {tmp_path}/file cannot be made: File exists")
    assert "ConnectionStrings__DefaultConnection" in done.stderr
