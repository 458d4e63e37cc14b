"""The developers' mode as a process: its mail server, namespaces, faults, and when it refuses to start."""

import asyncio
import imaplib
import json
import os
import smtplib
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.request import Request, urlopen

import httpx
import pytest

from relate_mail.testing import ApiError, Mailbox, Namespace, NoMessage, Server, StartError
from relate_mail.testing.server import parse_ready
from relate_mailstore.queue_types import QueueFilter
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import open_store
from tests.integration.developers.clients import (
    PASSWORD,
    SENDER,
    imap,
    imap_subjects,
    message,
    pop3_count,
    send,
    smtp,
)
from tests.integration.developers.conftest import run_dev
from tests.support.product import Product
from tests.unit.api.page.browsing import form_secret

pytestmark = pytest.mark.xdist_group("developers")  # of one server

TESTS, MAILS = 50, 20


def test_a_mail_is_there_by_every_protocol(server: Server, mail: Namespace) -> None:
    alice = mail.mailbox("alice")
    send(server, alice.address, "Welcome", "Confirm: https://example.org/confirm?t=1 or type 123456.")
    found = alice.wait("welcome")
    assert (found.subject, found.sender) == ("Welcome", SENDER)
    assert (found.links, found.codes) == (["https://example.org/confirm?t=1"], ["123456"])
    assert b"Subject: Welcome" in alice.raw(found)
    assert imap_subjects(server, alice) == [b"Subject: Welcome"]
    assert pop3_count(server, alice) == 1


@pytest.mark.parametrize("port", ["smtp", "mx"])
def test_mail_is_accepted_for_every_recipient_with_and_without_a_login(
    server: Server, mail: Namespace, port: str
) -> None:
    one, two = mail.mailbox("one"), mail.mailbox("two", "another.example")
    with smtp(server, getattr(server.ports, port)) as client:
        client.send_message(message(one.address), to_addrs=[one.address, two.address])
    if port == "smtp":
        with smtp(server) as client:
            client.login("any@login.test", PASSWORD)
            client.send_message(message(one.address), to_addrs=[two.address])
    assert one.wait().subject == two.wait().subject == "Hello"


def test_a_wait_ends_when_the_mail_arrives(server: Server, mail: Namespace) -> None:
    alice = mail.mailbox("alice")
    with pytest.raises(NoMessage):
        alice.wait(timeout=0)
    accepted: list[float] = []

    def send_later() -> None:
        with smtp(server) as client:
            client.send_message(message(alice.address))
            accepted.append(time.perf_counter())

    with ThreadPoolExecutor(1) as threads:
        sending = threads.submit(send_later)
        found = alice.wait(timeout=30)
        waited = time.perf_counter()
        sending.result()
    assert found.subject == "Hello"
    assert waited - accepted[0] < 5  # bench: the median is some milliseconds


def run_one_test(server: Server, together: threading.Barrier) -> list[str]:
    """A test that sends mails and reads them, beside others; the subjects that it saw."""
    with server.namespace() as mail:
        alice = mail.mailbox("alice")
        together.wait()
        with smtp(server) as client:
            for number in range(MAILS):
                client.send_message(message(alice.address, f"{mail.name} {number}"))
        seen = [alice.wait()]
        while len(seen) < MAILS:
            seen.append(alice.wait(after=seen[-1]))
        assert alice.count() == MAILS
        assert [each.subject for each in seen] == [f"{mail.name} {number}" for number in range(MAILS)]
        assert mail.empty() == MAILS
        return [each.subject for each in seen]


def test_fifty_tests_side_by_side_see_their_own_mail_only(server: Server) -> None:
    together = threading.Barrier(TESTS)
    with ThreadPoolExecutor(TESTS) as threads:
        runs = [threads.submit(run_one_test, server, together) for _ in range(TESTS)]
        subjects = [subject for run in runs for subject in run.result()]
    assert len(set(subjects)) == len(subjects) == TESTS * MAILS


def test_emptying_a_namespace_leaves_the_others(server: Server, mail: Namespace) -> None:
    with server.namespace() as other:
        for each in (mail, other):
            send(server, each.address("alice"))
            send(server, each.address("bob", "another.example"))
            each.mailbox("alice").wait()
        assert mail.empty() == 2
        assert [each.mailbox("alice").count() for each in (mail, other)] == [0, 1]


# --- faults


def test_a_recipient_is_refused_as_often_as_the_rule_says(server: Server, mail: Namespace) -> None:
    mail.inject({"service": "smtp", "command": "RCPT", "times": 2, "reply": "451"})
    address = mail.address("alice")
    with smtp(server) as client:
        for _ in range(2):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                client.send_message(message(address))
            assert refused.value.recipients[address] == (451, b"4.3.0 Fault injected")
        client.send_message(message(address))
    assert mail.mailbox("alice").count() == 1
    assert [rule["injected"] for rule in mail.faults()] == [2]


def test_faults_of_one_test_do_not_concern_another(server: Server, mail: Namespace) -> None:
    mail.inject({"service": "smtp", "command": "RCPT", "reply": "550"})
    with server.namespace() as other:
        send(server, other.address("alice"))
        assert other.mailbox("alice").count() == 1
        assert other.faults() == []


def test_fetch_is_answered_no(server: Server, mail: Namespace) -> None:
    alice = mail.mailbox("alice")
    send(server, alice.address)
    with imap(server, alice) as client:
        mail.inject({"service": "imap", "command": "FETCH", "reply": "NO"})
        assert client.fetch("1", "FLAGS") == ("NO", [b"[UNAVAILABLE] Fault injected"])
        assert client.uid("FETCH", "1", "FLAGS")[0] == "NO"
        mail.inject()
        assert client.fetch("1", "FLAGS")[0] == "OK"


@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
def test_the_connection_is_lost_before_or_after_data(server: Server, mail: Namespace, when: str, stored: int) -> None:
    mail.inject({"service": "smtp", "command": "DATA", "disconnect": when})
    alice = mail.mailbox("alice")
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
        send(server, alice.address)
    if stored:
        alice.wait()
    assert alice.count() == stored


def test_a_command_is_delayed(server: Server, mail: Namespace) -> None:
    mail.inject({"service": "pop3", "command": "STAT", "delaySeconds": 0.3})
    began = time.perf_counter()
    assert pop3_count(server, mail.mailbox("alice")) == 0
    assert time.perf_counter() - began >= 0.3


def test_a_rule_that_cannot_apply_is_explained(mail: Namespace) -> None:
    with pytest.raises(ApiError, match="422: smtp has no such command") as refused:
        mail.inject({"service": "smtp", "command": "FETCH", "reply": "451"})
    assert refused.value.status == 422


def test_rules_of_the_command_line_apply_to_all(tmp_path: Path) -> None:
    with run_dev("--fault", "smtp MAIL reply 450") as server:
        with pytest.raises(smtplib.SMTPSenderRefused):
            send(server, "alice@example.test")


# --- files


def test_mail_of_files_is_delivered_to_its_recipients(tmp_path: Path) -> None:
    (tmp_path / "one.eml").write_bytes(message("alice@example.test", "From a file").as_bytes())
    text = message("bob@example.test", "From an mbox").as_string()
    (tmp_path / "two.mbox").write_text(f"From app@example.org Mon Nov 30 09:00:00 2026\n{text}\n")
    (tmp_path / "three.eml").write_text("Subject: For nobody\n\nHi\n")
    seeds = [option for name in ("one.eml", "two.mbox", "three.eml") for option in ("--seed", str(tmp_path / name))]
    with run_dev(*seeds) as server:
        expected = {
            "alice@example.test": "From a file",
            "bob@example.test": "From an mbox",
            "developer@localhost": "For nobody",
        }
        found = {address: Mailbox(server.url, address).wait(timeout=0).subject for address in expected}
    assert found == expected


# --- the page


def test_a_person_signs_in_at_the_page_with_any_login_and_finds_the_traces() -> None:
    settings = {
        "OTEL_SDK_DISABLED": "false",
        "Jaeger__Url": "http://jaeger.example.test",
        "Oidc__Authority": "https://id.example.test",
        "Oidc__Audience": "relate",
    }
    with run_dev(**settings) as server, httpx.Client(base_url=server.url, trust_env=False) as browser:
        send(server, "alice@example.test")
        found = Mailbox(server.url, "alice@example.test").wait()
        assert not browser.get("/api/discovery").json()["oidcEnabled"]
        secret = form_secret(browser.get("/sign-in"))
        response = browser.post("/sign-in", data={"csrf": secret, "key": "alice@example.test"})
        assert response.headers["location"] == "/"
        assert "http://jaeger.example.test/trace/" in browser.get(f"/messages/{found.id}/journey").text


# --- start and stop


def test_standard_output_has_the_ready_line_alone() -> None:
    command = [sys.executable, "-m", "relate", "dev", "--json", "--any-ports"]
    environment = {**os.environ, "OTEL_SDK_DISABLED": "false", "Otel__Verbose": "true"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        send(parse_ready(json.loads(line)), "alice@example.test")
        process.terminate()
        rest, errors = process.communicate(timeout=60)
    assert rest == b""
    assert b"smtp.command.data" in errors


def test_all_servers_stop_at_the_same_time() -> None:
    faults = [option for name in ("smtp", "pop3", "imap") for option in ("--fault", f"{name} NOOP delay 60")]
    with run_dev(*faults) as server, ExitStack() as clients:
        for port, tag in ((server.ports.smtp, b""), (server.ports.pop3, b""), (server.ports.imap, b"a ")):
            client = clients.enter_context(socket.create_connection((server.host, port), timeout=60))
            replies = clients.enter_context(client.makefile("rb"))
            replies.readline()  # the greeting
            client.sendall(tag + b"UNKNOWN\r\n" + tag + b"NOOP\r\n")
            replies.readline()  # that UNKNOWN is refused: NOOP, which came with it, is in progress
        began = time.perf_counter()
    assert time.perf_counter() - began < 8  # each has 3 s for its commands in progress


def expect_refusal(match: str, *arguments: str, **settings: str) -> None:
    with pytest.raises(StartError, match=match):
        run_dev(*arguments, **settings).start()


def test_it_does_not_open_the_mail_of_a_real_database(tmp_path: Path) -> None:
    with Product(tmp_path) as product:
        product.relate_json("user", "add", "alice@example.test")
    expect_refusal(
        "users that the developers' mode has not made",
        ConnectionStrings__DefaultConnection=f"sqlite:///{tmp_path}/relate.db",
    )


def test_it_does_not_listen_where_the_internet_is() -> None:
    expect_refusal("is reached from the Internet", Imap__Host="198.41.0.4")


def test_a_refusal_is_told_although_spans_are_printed(tmp_path: Path) -> None:
    with Product(tmp_path) as product:
        product.relate_json("user", "add", "alice@example.test")
    url = f"sqlite:///{tmp_path}/relate.db"
    expect_refusal(
        "users that the developers' mode has not made",
        ConnectionStrings__DefaultConnection=url,
        OTEL_SDK_DISABLED="false",
        Otel__Verbose="true",
    )


def test_faults_of_a_namespace_concern_sessions_that_log_in_by_a_challenge(server: Server, mail: Namespace) -> None:
    alice = mail.mailbox("alice")
    mail.inject(
        {"service": "imap", "command": "NOOP", "reply": "NO"}, {"service": "smtp", "command": "MAIL", "reply": "450"}
    )
    with imaplib.IMAP4(server.host, server.ports.imap, 30) as client:
        client.authenticate("PLAIN", lambda _: f"\0{alice.address}\0{PASSWORD}".encode())
        assert client.noop()[0] == "NO"
    with smtp(server) as sender:
        sender.user, sender.password = alice.address, PASSWORD
        sender.ehlo()
        sender.auth("LOGIN", sender.auth_login, initial_response_ok=False)
        assert sender.mail("app@example.org")[0] == 450


def test_an_abandoned_request_frees_its_place(mail: Namespace) -> None:
    with run_dev(Dev__MaxWaiters="1") as server:
        alice = Mailbox(server.url, mail.address("alice"))
        with socket.create_connection((server.host, server.ports.http), timeout=30) as client:
            fields = f"Host: localhost\r\nAuthorization: Bearer {alice.address}\r\n"
            client.sendall(f"GET /api/wait?timeout=100 HTTP/1.1\r\n{fields}\r\n".encode())
            assert wait_status(alice, until=503) == 503
        assert wait_status(alice, until=404) == 404


def wait_status(mailbox: Mailbox, until: int) -> int:
    """The status of a short wait, repeated until it is this one, or some seconds have passed."""
    deadline = time.monotonic() + 30
    while True:
        try:
            mailbox.wait(timeout=0.05)
        except (ApiError, NoMessage) as error:
            status = error.status if isinstance(error, ApiError) else 404
            if status == until or time.monotonic() > deadline:
                return status


def test_a_malformed_rule_or_file_is_one_line(tmp_path: Path) -> None:
    expect_refusal("relate: a fault is: SERVICE COMMAND", "--fault", "smtp")
    expect_refusal("relate: smtp has no such command", "--fault", "smtp FETCH reply 451")
    expect_refusal("relate: a namespace has at most 20 rules", *["--fault", "smtp RCPT reply 451"] * 21)
    expect_refusal("relate: .* does not exist", "--seed", str(tmp_path / "missing.eml"))


def test_production_does_not_serve_its_database(tmp_path: Path) -> None:
    with run_dev(ConnectionStrings__DefaultConnection=f"sqlite:///{tmp_path}/relate.db") as server:
        send(server, "alice@example.test")
    with Product(tmp_path, OTEL_SDK_DISABLED="true") as product:
        refused = product.relate("serve")
        assert refused.returncode == 1
        assert "the developers' mode has made users in this database" in refused.stderr
        findings = json.loads(product.relate_in_process("doctor", "--json").stdout)
        (database,) = [each for each in findings if each["subject"] == "database"]
        assert database["level"] == "error"
        assert "ConnectionStrings__DefaultConnection" in database["remedy"]


def test_its_own_database_is_accepted_again_and_the_old_key_is_not(tmp_path: Path) -> None:
    settings = {"ConnectionStrings__DefaultConnection": f"sqlite:///{tmp_path}/dev.db"}
    with run_dev(**settings) as server:
        send(server, "alice@example.test", "Kept")
        old = server.admin_key
    with run_dev(**settings) as server:
        assert Mailbox(server.url, "alice@example.test").wait(timeout=0).subject == "Kept"
        assert admin_status(server, old) == 401
        assert admin_status(server, server.admin_key) == 200
        assert admin_status(server, "alice@example.test") == 403


def admin_status(server: Server, key: str) -> int:
    request = Request(f"{server.url}/api/admin/users", headers={"Authorization": f"Bearer {key}"})
    try:
        with urlopen(request, timeout=30) as response:
            return int(response.status)
    except OSError as error:
        return int(getattr(error, "code", 0))


def test_serve_is_dev_by_the_setting(tmp_path: Path) -> None:
    with Product(tmp_path, OTEL_SDK_DISABLED="true", Dev__Enabled="true") as product:
        process = product.launch("serve")
        assert product.stderr.wait_for("Relate Mail is ready for developers")
        request = Request(
            f"{product.api_url}/api/wait?timeout=0", headers={"Authorization": "Bearer alice@example.test"}
        )
        with pytest.raises(OSError, match="404"):
            urlopen(request, timeout=30)
        assert process.poll() is None


def test_nothing_leaves_but_by_a_release(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/dev.db"
    resolver = "127.0.0.1:1"  # there is none, so that what is queued stays there
    settings = {"ConnectionStrings__DefaultConnection": url, "Relay__Enabled": "true", "Relay__Resolver": resolver}
    with run_dev(**settings) as server:
        with smtp(server) as client:
            client.login("app", PASSWORD)
            client.send_message(message("me@gmail.example", "For all"))
        found = Mailbox(server.url, "me@gmail.example").wait()
        release(server, {"mailbox": "me@gmail.example", "emailId": found.id, "to": ["released@elsewhere.example"]})
    assert asyncio.run(queued_addresses(url)) == ["released@elsewhere.example"]


def release(server: Server, body: dict[str, object]) -> None:
    headers = {"Authorization": f"Bearer {server.admin_key}", "Content-Type": "application/json"}
    with urlopen(Request(f"{server.url}/api/release", json.dumps(body).encode(), headers), timeout=30) as response:
        assert response.status == 202


async def queued_addresses(url: str) -> list[str]:
    engine = open_engine(url)
    try:
        async with open_store(engine) as store:
            return [each.address for each in (await store.queue.find(QueueFilter(), 10)).items]
    finally:
        await engine.dispose()
