"""The `relate` command, as a person or a script uses it, and the process that it starts."""

import json
import poplib
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.integration.product.accounts import message
from tests.integration.product.processes import children, listeners, wait_until
from tests.support.product import ADDRESS, HOST, STOP_LIMIT_SECONDS, TIMEOUT_SECONDS, Product


@pytest.fixture
def resting(tmp_path: Path) -> Iterator[Product]:
    """A product that nobody has started yet."""
    with Product(tmp_path) as product:
        yield product


def said(product: Product, *arguments: str) -> str:
    """What a command prints when it ends well. All that it may note is that it made the database."""
    done = product.relate(*arguments)
    assert done.returncode == 0
    assert re.fullmatch(r"(relate: made a new database at \S+\n)?", done.stderr)
    return done.stdout


def complaint(product: Product, *arguments: str, **settings: str) -> str:
    """The one line that a command says when it does not end well."""
    done = product.relate(*arguments, **settings)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("relate: ")
    return line.removeprefix("relate: ")


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Another program listens there."""
    with socket.create_server((HOST, port)):
        yield


# --- users and keys


def test_users_and_keys_are_made_before_the_server_ever_ran(resting: Product) -> None:
    said(resting, "user", "add", ADDRESS, "--name", "Alice", "--alias", "al@example.test")
    (alice,) = json.loads(said(resting, "user", "list", "--json"))
    assert alice["addresses"] == [ADDRESS, "al@example.test"]
    made = json.loads(said(resting, "key", "create", ADDRESS, "--name", "laptop", "--scope", "pop3", "--json"))
    assert (made["address"], made["name"], made["scopes"]) == (ADDRESS, "laptop", ["pop3"])
    assert made["key"].startswith(made["prefix"])
    resting.start("pop3")
    with resting.pop3(key=made["key"]) as client:
        assert client.stat() == (0, 0)
    resting.stop()
    said(resting, "key", "revoke", ADDRESS, str(made["id"]))
    (key,) = json.loads(said(resting, "key", "list", ADDRESS, "--json"))
    assert key["revoked"] is not None
    assert "key" not in key
    assert key["lastUsed"] is not None


def test_lists_are_read_by_people_too(resting: Product) -> None:
    resting.add_user()
    key, *_ = resting.relate_in_process("key", "create", ADDRESS, "--name", "phone").stdout.splitlines()
    users = resting.relate_in_process("user", "list").stdout
    assert re.search(rf"^ ?{re.escape(ADDRESS)} .* \d\d\d\d-\d\d-\d\d", users, re.MULTILINE)
    keys = resting.relate_in_process("key", "list", ADDRESS).stdout
    assert re.search(rf" phone .* {re.escape(key[:6])}", keys)
    assert key not in keys


def test_what_cannot_be_done_is_said_in_a_line(resting: Product) -> None:
    resting.add_user()
    assert complaint(resting, "user", "add", ADDRESS)


# --- what is wrong with the environment


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("Smtp__Prot", "1"),
        ("Smtp__Port", "abc"),
        ("ConnectionStrings__DefaultConnection", "mysql://root:geheim@localhost/mail"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
    ],
)
def test_a_malformed_environment_is_named_in_a_line(resting: Product, variable: str, value: str) -> None:
    line = complaint(resting, "serve", **{variable: value})
    assert variable in line
    assert "geheim" not in line


def test_a_database_that_is_not_there_is_said_in_a_line(resting: Product) -> None:
    url = f"postgresql://relate:geheim@{HOST}:{resting.ports['Imap__Port']}/mail"  # where nobody listens
    line = complaint(resting, "serve", ConnectionStrings__DefaultConnection=url)
    assert "ConnectionRefusedError" in line
    assert f"{HOST}:{resting.ports['Imap__Port']}/mail" in line
    assert "ConnectionStrings__DefaultConnection" in line
    assert "geheim" not in line


@pytest.mark.parametrize("port", ["Smtp__MxPort", "Api__Port"])
def test_a_port_in_use_is_named_in_a_line(resting: Product, port: str) -> None:
    with taken(resting.ports[port]):
        line = complaint(resting, "serve")
    assert f"{HOST} port {resting.ports[port]}" in line
    assert f"{port} sets the port" in line
    assert "in use" in line


# --- serving


def test_a_running_server_hears_of_users_keys_and_revocations(resting: Product) -> None:
    resting.start()
    key = resting.add_user()
    lost = resting.relate_json("key", "create", ADDRESS, "--name", "lost")
    with resting.mx() as client:
        client.send_message(message("a@example.org", ADDRESS))
    with resting.pop3(key=key) as reader:
        assert reader.stat()[0] == 1
    said(resting, "key", "revoke", ADDRESS, str(lost["id"]))
    with pytest.raises(poplib.error_proto, match="AUTH"), resting.pop3(key=lost["key"]):
        pass  # nobody had used it yet, so no verdict was kept


def test_mail_outlives_a_restart_with_other_services(resting: Product) -> None:
    key = resting.add_user()
    resting.start("smtp")
    with resting.mx() as client:
        client.send_message(message("a@example.org", ADDRESS, subject="Still here"))
    resting.stop()
    resting.start("pop3")
    with resting.pop3(key=key) as reader:
        assert b"Subject: Still here" in reader.retr(1)[1]


def test_a_stop_says_goodbye_to_clients_that_wait(resting: Product) -> None:
    key = resting.add_user()
    resting.start()
    with resting.pop3(key=key) as reader, resting.submission(key=key) as writer, resting.api(key) as client:
        client.get("/emails")
        seconds = resting.stop()
        assert reader.file.readline().startswith(b"-ERR [SYS/TEMP]")
        assert writer.getreply()[0] == 421
        reader.quit = lambda: b""  # type: ignore[method-assign] # there is nobody left to say it to
    assert seconds < STOP_LIMIT_SECONDS / 2


STUCK = {
    "Smtp__MxPort": ["HELO x", "MAIL FROM:<a@b.example>", "RCPT TO:<alice@example.test>", "DATA"],
    "Pop3__Port": ["AUTH PLAIN"],
}
"""Commands, the last of which waits for more from the client."""


def say(client: socket.socket, lines: list[str]) -> None:
    """Hold a conversation up to there; every reply, the greeting first, is a good one."""
    with client.makefile("rb") as replies:
        for line in lines:
            assert replies.readline()[:1] in b"23+"
            client.sendall(f"{line}\r\n".encode())
        assert replies.readline()[:1] in b"3+"


def test_a_stop_does_not_wait_for_clients_that_say_nothing(resting: Product) -> None:
    resting.add_user()
    resting.start()
    with ExitStack() as clients:
        for port, words in STUCK.items():
            client = clients.enter_context(
                socket.create_connection((HOST, resting.ports[port]), timeout=TIMEOUT_SECONDS)
            )
            say(client, words)
        assert resting.stop() < STOP_LIMIT_SECONDS


def test_an_interrupt_is_a_stop(resting: Product) -> None:
    process = resting.launch("serve", "api")
    assert resting.stderr.wait_for("is ready")
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT_SECONDS) == 0


def test_two_workers_share_the_ports(tmp_path: Path) -> None:
    with Product(tmp_path, Smtp__Workers="2") as product:
        key = product.add_user()
        product.start()
        workers = children(product.process_id)
        assert len(workers) == 2
        wait_until(lambda: all(listeners(pid, product.ports["Smtp__Port"]) for pid in workers))
        assert sum(listeners(pid, product.ports["Pop3__Port"]) for pid in workers) == 1
        for _ in range(16):  # the kernel picks a worker for each connection
            with product.submission(key=key) as client:
                client.send_message(message(ADDRESS, ADDRESS), ADDRESS)
        with product.pop3(key=key) as reader:
            assert reader.stat()[0] == 16


def test_a_demo_shows_its_key_once(resting: Product) -> None:
    resting.start("all", "--demo")
    assert resting.stderr.wait_for("shown only now")
    match = re.search(r"Log in as (\S+) with the key (\S+) ", resting.stderr.text)
    assert match is not None
    address, key = match.groups()
    with resting.pop3(address, key) as reader:
        assert b"Subject: Welcome" in reader.retr(1)[1]
    with resting.api(key) as client:
        assert client.get("/emails").json()["items"][0]["isRead"]
    resting.stop()
    resting.start("all", "--demo")
    assert resting.stderr.wait_for("For a new key: ")
    assert key not in resting.output
    command = resting.stderr.text.partition("For a new key: ")[2].splitlines()[0]
    made = subprocess.run(
        shlex.split(command), cwd=resting.directory, env=resting.environment, capture_output=True, text=True, check=True
    )
    with resting.pop3(address, made.stdout.strip()) as reader:
        assert reader.stat()[0] == 1


# --- the doctor


def test_the_doctor_finds_what_is_missing_before_the_first_start(resting: Product) -> None:
    done = resting.relate("doctor")
    assert done.returncode == 1
    assert "run: relate migrate" in done.stdout
    assert "run: relate serve" in done.stdout


def test_the_doctor_is_content_with_a_server_that_has_a_postmaster(resting: Product) -> None:
    said(resting, "user", "add", ADDRESS, "--alias", "postmaster@localhost")
    resting.start()
    done = resting.relate("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "!!" not in done.stdout
    assert "kept" in done.stdout  # room for deleting mail


def test_the_doctor_misses_a_postmaster(resting: Product) -> None:
    resting.start()
    done = resting.relate("doctor")
    assert done.returncode == 1
    assert "--alias postmaster@localhost" in " ".join(done.stdout.split())


def test_the_doctor_finds_a_database_that_is_away(resting: Product) -> None:
    url = f"postgresql://relate:geheim@{HOST}:{resting.ports['Imap__Port']}/mail"
    done = resting.relate("doctor", ConnectionStrings__DefaultConnection=url)
    assert done.returncode == 1
    assert "set ConnectionStrings__DefaultConnection" in done.stdout
    assert "geheim" not in done.stdout


def test_tidy_removes_what_nobody_has_any_more(resting: Product) -> None:
    resting.relate_in_process("migrate")
    with closing(sqlite3.connect(resting.directory / "relate.db")) as database:
        database.execute("INSERT INTO blobs (id, part, octets) VALUES (?, 0, 'x'), (?, 1, 'y')", ("a" * 32, "a" * 32))
        database.commit()
    assert resting.relate_in_process("tidy").stdout == "removed 2 rows\n"
    assert resting.relate_in_process("tidy").stdout == "nothing to remove\n"


def test_migrate_makes_the_schema(resting: Product) -> None:
    assert resting.relate_in_process("migrate").exit_code == 0
    with sqlite3.connect(resting.directory / "relate.db") as database:
        assert database.execute("SELECT count(*) FROM messages").fetchone() == (0,)
    database.close()
