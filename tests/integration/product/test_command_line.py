"""The `relate` command and the server that it starts."""

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
def stopped(tmp_path: Path) -> Iterator[Product]:
    """A product that is not running."""
    with Product(tmp_path) as product:
        yield product


def relate_output(product: Product, *arguments: str) -> str:
    """Run a command; returns its output. Asserts status 0, and that standard error at most notes a new database."""
    done = product.relate(*arguments)
    assert done.returncode == 0
    assert re.fullmatch(r"(relate: created a new database at \S+\n)?", done.stderr)
    return done.stdout


def error_line(product: Product, *arguments: str, **settings: str) -> str:
    """Run a command that fails; returns its only line on standard error."""
    done = product.relate(*arguments, **settings)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("relate: ")
    return line.removeprefix("relate: ")


@contextmanager
def occupied_port(port: int) -> Iterator[None]:
    """Another process listens on this port."""
    with socket.create_server((HOST, port)):
        yield


# --- users and keys


def test_users_and_keys_are_created_before_the_first_start(stopped: Product) -> None:
    relate_output(stopped, "user", "add", ADDRESS, "--name", "Alice", "--alias", "al@example.test")
    (alice,) = json.loads(relate_output(stopped, "user", "list", "--json"))
    assert alice["addresses"] == [ADDRESS, "al@example.test"]
    made = json.loads(relate_output(stopped, "key", "create", ADDRESS, "--name", "laptop", "--scope", "pop3", "--json"))
    assert (made["address"], made["name"], made["scopes"]) == (ADDRESS, "laptop", ["pop3"])
    assert made["key"].startswith(made["prefix"])
    stopped.start("pop3")
    with stopped.pop3(key=made["key"]) as client:
        assert client.stat() == (0, 0)
    stopped.stop()
    relate_output(stopped, "key", "revoke", ADDRESS, str(made["id"]))
    (key,) = json.loads(relate_output(stopped, "key", "list", ADDRESS, "--json"))
    assert key["revoked"] is not None
    assert "key" not in key
    assert key["lastUsed"] is not None


def test_lists_are_printed_as_tables(stopped: Product) -> None:
    stopped.add_user()
    key, *_ = stopped.relate_in_process("key", "create", ADDRESS, "--name", "phone").stdout.splitlines()
    users = stopped.relate_in_process("user", "list").stdout
    assert re.search(rf"^ ?{re.escape(ADDRESS)} .* \d\d\d\d-\d\d-\d\d", users, re.MULTILINE)
    keys = stopped.relate_in_process("key", "list", ADDRESS).stdout
    assert re.search(rf" phone .* {re.escape(key[:6])}", keys)
    assert key not in keys


def test_a_failed_command_prints_one_line(stopped: Product) -> None:
    stopped.add_user()
    assert error_line(stopped, "user", "add", ADDRESS)


# --- configuration errors


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("Smtp__Prot", "1"),
        ("Smtp__Port", "abc"),
        ("ConnectionStrings__DefaultConnection", "mysql://root:geheim@localhost/mail"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
    ],
)
def test_an_invalid_variable_is_named_in_one_line(stopped: Product, variable: str, value: str) -> None:
    line = error_line(stopped, "serve", **{variable: value})
    assert variable in line
    assert "geheim" not in line


def test_an_unreachable_database_is_named_in_one_line(stopped: Product) -> None:
    url = f"postgresql://relate:geheim@{HOST}:{stopped.ports['Imap__Port']}/mail"  # reserved, but without a listener
    line = error_line(stopped, "serve", ConnectionStrings__DefaultConnection=url)
    assert "ConnectionRefusedError" in line
    assert f"{HOST}:{stopped.ports['Imap__Port']}/mail" in line
    assert "ConnectionStrings__DefaultConnection" in line
    assert "geheim" not in line


@pytest.mark.parametrize("port", ["Smtp__MxPort", "Api__Port"])
def test_a_port_in_use_is_named_in_one_line(stopped: Product, port: str) -> None:
    with occupied_port(stopped.ports[port]):
        line = error_line(stopped, "serve")
    assert f"{HOST} port {stopped.ports[port]}" in line
    assert f"{port} sets the port" in line
    assert "in use" in line


# --- serving


def test_a_running_server_applies_new_users_keys_and_revocations(stopped: Product) -> None:
    stopped.start()
    key = stopped.add_user()
    lost = stopped.relate_json("key", "create", ADDRESS, "--name", "lost")
    with stopped.mx() as client:
        client.send_message(message("a@example.org", ADDRESS))
    with stopped.pop3(key=key) as reader:
        assert reader.stat()[0] == 1
    relate_output(stopped, "key", "revoke", ADDRESS, str(lost["id"]))
    with pytest.raises(poplib.error_proto, match="AUTH"), stopped.pop3(key=lost["key"]):
        pass  # the key was never used, so no verdict is cached


def test_mail_persists_across_a_restart_with_another_service(stopped: Product) -> None:
    key = stopped.add_user()
    stopped.start("smtp")
    with stopped.mx() as client:
        client.send_message(message("a@example.org", ADDRESS, subject="Persistent"))
    stopped.stop()
    stopped.start("pop3")
    with stopped.pop3(key=key) as reader:
        assert b"Subject: Persistent" in reader.retr(1)[1]


def test_a_stop_notifies_idle_clients(stopped: Product) -> None:
    key = stopped.add_user()
    stopped.start()
    with stopped.pop3(key=key) as reader, stopped.submission(key=key) as writer, stopped.api(key) as client:
        client.get("/emails")
        seconds = stopped.stop()
        assert reader.file.readline().startswith(b"-ERR [SYS/TEMP]")
        assert writer.getreply()[0] == 421
        reader.quit = lambda: b""  # type: ignore[method-assign] # the server has closed the connection
    assert seconds < STOP_LIMIT_SECONDS / 2


UNFINISHED = {
    "Smtp__MxPort": ["HELO x", "MAIL FROM:<a@b.example>", "RCPT TO:<alice@example.test>", "DATA"],
    "Pop3__Port": ["AUTH PLAIN"],
}
"""Commands of which the last one waits for input."""


def send_commands(client: socket.socket, lines: list[str]) -> None:
    """Send commands; asserts that the greeting and all replies are positive."""
    with client.makefile("rb") as replies:
        for line in lines:
            assert replies.readline()[:1] in b"23+"
            client.sendall(f"{line}\r\n".encode())
        assert replies.readline()[:1] in b"3+"


def test_a_stop_does_not_wait_for_silent_clients(stopped: Product) -> None:
    stopped.add_user()
    stopped.start()
    with ExitStack() as clients:
        for port, lines in UNFINISHED.items():
            client = clients.enter_context(
                socket.create_connection((HOST, stopped.ports[port]), timeout=TIMEOUT_SECONDS)
            )
            send_commands(client, lines)
        assert stopped.stop() < STOP_LIMIT_SECONDS


def test_sigint_stops_the_server(stopped: Product) -> None:
    process = stopped.launch("serve", "api")
    assert stopped.stderr.wait_for("is ready")
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
        for _ in range(16):  # the kernel chooses a worker per connection
            with product.submission(key=key) as client:
                client.send_message(message(ADDRESS, ADDRESS), ADDRESS)
        with product.pop3(key=key) as reader:
            assert reader.stat()[0] == 16


def test_the_demo_key_is_shown_once(stopped: Product) -> None:
    stopped.start("all", "--demo")
    assert stopped.stderr.wait_for("shown only now")
    match = re.search(r"Log in as (\S+) with the key (\S+) ", stopped.stderr.text)
    assert match is not None
    address, key = match.groups()
    with stopped.pop3(address, key) as reader:
        assert b"Subject: Welcome" in reader.retr(1)[1]
    with stopped.api(key) as client:
        assert client.get("/emails").json()["items"][0]["isRead"]
    stopped.stop()
    stopped.start("all", "--demo")
    assert stopped.stderr.wait_for("For a new key: ")
    assert key not in stopped.output
    command = stopped.stderr.text.partition("For a new key: ")[2].splitlines()[0]
    made = subprocess.run(
        shlex.split(command), cwd=stopped.directory, env=stopped.environment, capture_output=True, text=True, check=True
    )
    with stopped.pop3(address, made.stdout.strip()) as reader:
        assert reader.stat()[0] == 1


# --- the doctor


def test_the_doctor_reports_missing_parts_before_the_first_start(stopped: Product) -> None:
    done = stopped.relate("doctor")
    assert done.returncode == 1
    assert "run: relate migrate" in done.stdout
    assert "run: relate serve" in done.stdout


def test_the_doctor_accepts_a_server_with_a_postmaster(stopped: Product) -> None:
    relate_output(stopped, "user", "add", ADDRESS, "--alias", "postmaster@localhost")
    stopped.start()
    done = stopped.relate("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "!!" not in done.stdout
    assert "reserved" in done.stdout


def test_the_doctor_reports_a_missing_postmaster(stopped: Product) -> None:
    stopped.start()
    done = stopped.relate("doctor")
    assert done.returncode == 1
    assert "--alias postmaster@localhost" in " ".join(done.stdout.split())


def test_the_doctor_reports_an_unreachable_database(stopped: Product) -> None:
    url = f"postgresql://relate:geheim@{HOST}:{stopped.ports['Imap__Port']}/mail"
    done = stopped.relate("doctor", ConnectionStrings__DefaultConnection=url)
    assert done.returncode == 1
    assert "set ConnectionStrings__DefaultConnection" in done.stdout
    assert "geheim" not in done.stdout


def test_tidy_removes_unreferenced_blobs(stopped: Product) -> None:
    stopped.relate_in_process("migrate")
    with closing(sqlite3.connect(stopped.directory / "relate.db")) as database:
        database.execute("INSERT INTO blobs (id, part, octets) VALUES (?, 0, 'x'), (?, 1, 'y')", ("a" * 32, "a" * 32))
        database.commit()
    assert stopped.relate_in_process("tidy").stdout == "removed 2 rows\n"
    assert stopped.relate_in_process("tidy").stdout == "nothing to remove\n"


def test_migrate_creates_the_schema(stopped: Product) -> None:
    assert stopped.relate_in_process("migrate").exit_code == 0
    with sqlite3.connect(stopped.directory / "relate.db") as database:
        assert database.execute("SELECT count(*) FROM messages").fetchone() == (0,)
    database.close()
