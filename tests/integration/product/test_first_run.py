"""The first ten minutes: README's lines as they are printed, one database from everywhere, and what errors say."""

import base64
import imaplib
import poplib
import re
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
def fresh(tmp_path: Path) -> Iterator[Product]:
    """A clone without any setting but the ports, as `make run` starts it."""
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / ".venv").symlink_to(sys.prefix)
    (clone / "examples").symlink_to(REPOSITORY / "examples")
    with Product(clone) as product:
        del product.environment["ConnectionStrings__DefaultConnection"]
        yield product


def readme_block(after: str) -> str:
    """The shell block of README that follows this text."""
    return README.partition(after)[2].partition("```sh\n")[2].partition("```")[0]


def run_elsewhere(product: Product, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`relate` in another directory than the server's."""
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


def test_the_lines_of_readme_work_as_printed(fresh: Product) -> None:
    fresh.start("--demo")
    script = readme_block("In another terminal")
    for documented, name in DOCUMENTED_PORTS.items():
        assert f":{documented}" in script
        script = script.replace(f":{documented}", f":{fresh.ports[name]}")
    done = subprocess.run(
        ["bash", "-e"],
        input=script,
        cwd=fresh.directory,
        env=fresh.environment,
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


def test_the_console_shows_a_line_a_command_with_its_user_and_nothing_else(fresh: Product) -> None:
    fresh.start("--demo")
    key = run_elsewhere(
        fresh, fresh.directory, "key", "create", "demo@example.test", "--name", "k", "--scope", "pop3"
    ).stdout.strip()
    with fresh.pop3("demo@example.test", key) as client:
        client.stat()
    assert fresh.stdout.wait_for("pop3 QUIT")
    lines = fresh.stdout.text.splitlines()
    form = r"\d\d:\d\d:\d\d\.\d{3} +\d+\.\d{3} ms  (smtp|pop3|imap|api) \S+ .*"
    assert [line for line in lines if not re.fullmatch(form, line)] == []
    (stat,) = [line for line in lines if "pop3 STAT" in line]
    assert "demo@example.test" in stat
    assert stat.endswith("ok +OK")


def test_commands_use_the_running_servers_database_from_any_directory_and_say_so(
    fresh: Product, tmp_path: Path
) -> None:
    fresh.start()
    done = run_elsewhere(fresh, tmp_path / "elsewhere", "user", "add", "alice@example.test")
    place = fresh.directory / "var" / "relate.db"
    assert done.stderr == f"relate: the database is {place} (of the running server)\n"
    fresh.stop()
    listed = run_elsewhere(fresh, tmp_path / "elsewhere", "user", "list", "--json")
    assert "alice@example.test" in listed.stdout
    assert f"{place} (of the last server)" in listed.stderr


def test_a_user_of_a_new_database_is_not_added_silently_and_a_server_finds_it(fresh: Product, tmp_path: Path) -> None:
    done = run_elsewhere(fresh, tmp_path / "elsewhere", "user", "add", "alice@example.test")
    place = tmp_path / "elsewhere" / "var" / "relate.db"
    assert f"made a new database at {place}\n" in done.stderr
    fresh.start()
    assert str(place) in fresh.stderr.text.partition(READY)[2]


def test_a_right_key_without_the_scope_is_told_so_and_a_wrong_key_is_not(product: Product, alice: Account) -> None:
    right = product.create_key(alice.address, ["api:read"], "reader")
    for key, told in ((right, True), (right[:-1] + ("A" if right[-1] != "A" else "B"), False)):
        for refusal in (smtp_refusal, pop3_refusal, imap_refusal):
            protocol = refusal.__name__.partition("_")[0]
            answer = refusal(product, alice.address, key)
            assert (f"The key is right, but lacks the scope {protocol}" in answer) is told, answer
            assert "right" not in answer or told


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


def test_a_message_with_bare_lf_is_refused_with_what_to_do(product: Product, alice: Account) -> None:
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


def test_a_catch_all_gets_what_is_for_no_other_address_of_its_domain(product: Product, alice: Account) -> None:
    domain = f"{alice.address.partition('@')[0]}.example"
    product.relate_json("user", "alias", alice.address, f"*@{domain}")
    gone = f"gone@{domain}"
    product.relate_json("user", "add", gone)
    product.relate_json("user", "remove", gone, "--yes")
    with product.mx() as client:
        client.sendmail("a@example.org", [f"anything@{domain}"], "Subject: any\r\n\r\n")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("a@example.org", [gone], "Subject: gone\r\n\r\n")
    (inbox, *_) = product.relate_json("mailbox", "list", alice.address)
    assert (inbox["name"], inbox["messages"], inbox["unread"]) == ("INBOX", 1, 1)


def test_a_removal_asks_and_does_nothing_without_an_answer(product: Product, alice: Account) -> None:
    done = product.relate("user", "remove", alice.address)
    assert done.returncode == 1
    assert "cannot be undone" in done.stderr
    assert product.relate_json("user", "show", alice.address)["usableKeys"] == 1


def test_a_demo_account_that_was_removed_keeps_no_server_from_starting(fresh: Product) -> None:
    fresh.start("--demo")
    fresh.relate("user", "remove", "demo@example.test", "--yes")
    fresh.stop()
    fresh.start("--demo")
    assert fresh.stderr.wait_for("There is no demo account: the address belonged to a user who was removed")


def test_a_directory_that_cannot_be_made_is_named_with_its_variable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Product(tmp_path, f"sqlite:///{tmp_path}/file/relate.db") as product:
        done = product.relate("serve")
    assert done.returncode == 1
    assert done.stderr.startswith(f"relate: the folder {tmp_path}/file cannot be made: File exists")
    assert "ConnectionStrings__DefaultConnection" in done.stderr
