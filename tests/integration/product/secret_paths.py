"""Drives all code paths with unique secrets: logins of all kinds, valid and malformed mail, valid and invalid calls."""

import socket
from uuid import uuid4

from tests.integration.product.accounts import Account, message
from tests.integration.product.counting_clients import encode, plain
from tests.integration.product.secret_markers import Secrets
from tests.support.product import HOST, TIMEOUT_SECONDS, Product

EXTERNAL_SENDER = "stranger@example.org"


def smtp_lines(alice: Account, wrong: Account) -> list[list[str]]:
    """Sessions on the submission port: logins with all mechanisms, misplaced and malformed ones."""
    mail = f"MAIL FROM:<{alice.address}>"
    key = wrong.key
    return [
        ["EHLO x", f"AUTH PLAIN {plain(alice)}", f"AUTH PLAIN {plain(alice)}", mail, f"AUTH PLAIN {plain(alice)}"],
        ["EHLO x", "AUTH LOGIN", encode(alice.address), encode(alice.key)],
        ["EHLO x", "AUTH PLAIN", plain(alice)],
        ["EHLO x", f"AUTH PLAIN {plain(wrong)}", "AUTH LOGIN", encode(wrong.address), encode(key)],
        ["EHLO x", f"AUTH LOGIN {encode(wrong.address)}", encode(key)],
        ["EHLO x", "AUTH PLAIN", plain(wrong), f"AUTH {key}", f"AUTH CRAM-MD5 {encode(key)}", f"AUTH XOAUTH2 {key}"],
        ["EHLO x", f"AUTH PLAIN {key}", "AUTH LOGIN", key, "AUTH PLAIN", f"*{key}", "AUTH LOGIN", "*"],
        ["EHLO x", "AUTH LOGIN", encode(key) + "A" * 20_000],
        [f"AUTH PLAIN {plain(wrong)}", f"USER {wrong.address}", f"PASS {key}", f"LOGIN {wrong.address} {key}"],
        [
            f"EHLO {key} {key}",
            f"HELO {key}",
            f"{key}",
            f"{key} {key}",
            f"AUTH\t{key}",
            f"NOOP \0{key}",
            f"NOOP \r{key}",
        ],
        ["EHLO x", f"{mail} {key}={key}", f"{mail} AUTH={key}", f"VRFY {key}", f"EXPN {key}", f"HELP {key}"],
        ["EHLO x", f"NOOP {key * 200}", f"BDAT {key}"],
    ]


def pop3_lines(alice: Account, wrong: Account) -> list[list[str]]:
    """The same for POP3, and reading of a maildrop."""
    key = wrong.key
    read = ["STAT", "LIST", "UIDL", "TOP 1 5", "RETR 1", "RETR 2", "DELE 1", "RSET", f"PASS {key}"]
    return [
        [f"USER {alice.address}", f"PASS {alice.key}", *read, f"AUTH PLAIN {plain(wrong)}"],
        [f"AUTH PLAIN {plain(alice)}", *read],
        ["AUTH LOGIN", encode(alice.address), encode(alice.key), f"RETR {key}", f"TOP 1 {key}", f"LIST {key}"],
        [f"PASS {key}", f"USER {wrong.address}", f"PASS {key}", f"APOP {wrong.address} {key}", "AUTH PLAIN", key],
        [f"AUTH PLAIN {plain(wrong)}", "AUTH LOGIN", encode(wrong.address), encode(key), f"AUTH {key}"],
        [f"AUTH PLAIN {key}", "AUTH PLAIN", f"*{key}", "AUTH LOGIN", key, "AUTH LOGIN", "*"],
        [
            f"{key}",
            f"PASS{key}",
            f"PASS\t{key}",
            f"USER \0{key}",
            f"PASS {key * 200}",
            f"PASS \udcff{key}",
            f"STLS {key}",
        ],
    ]


def send_all(port: int, lines: list[str]) -> bytes:
    """Send all lines at once and close the sending direction; returns everything received."""
    with socket.create_connection((HOST, port), timeout=TIMEOUT_SECONDS) as client:
        client.sendall("".join(f"{line}\r\n" for line in lines).encode(errors="surrogateescape"))
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answer:
            return answer.read()


def deliver_mail(product: Product, secrets: Secrets, alice: Account) -> str:
    """Deliver a message, valid and malformed; returns its subject."""
    subject = secrets.create("subject")
    mail = message(EXTERNAL_SENDER, alice.address, subject=f"Re: {subject}", text=f"{secrets.create('body')}\n")
    mail.add_attachment(secrets.create("attached").encode(), "application", "pdf", filename=secrets.create("name"))
    content = mail.as_bytes()
    start = ["EHLO x", f"MAIL FROM:<{EXTERNAL_SENDER}>", f"RCPT TO:<{alice.address}>"]
    text = content.decode().splitlines()
    port = product.ports["Smtp__MxPort"]
    send_all(port, [*start, "DATA", *text, "."])
    send_all(port, [*start, "DATA", *text[:-3]])  # then disconnects
    send_all(port, [*start, "DATA", content.decode().replace("\r\n", "\n"), "."])
    send_all(port, [*start, f"BDAT {len(content) + 2} LAST", content.decode()])
    send_all(port, text)  # without DATA every line is a command
    return subject


def call_api(product: Product, secrets: Secrets, alice: Account, subject: str) -> None:
    """Call the API with valid and wrong keys, searches, and invalid bodies."""
    with product.api(alice.key) as client:
        client.get("/emails", params={"label": "later"})
        found = client.get("/emails/search", params={"q": subject, "key": secrets.create("parameter")})
        client.get("/emails/search", params={"q": subject})
        client.get("/emails/search", params={"q": subject * 10})
        client.get("/emails", params={"cursor": secrets.create("cursor")})
        rows = found.json().get("items") or client.get("/emails").json().get("items") or [{"id": uuid4()}]
        for path in ("", "/raw"):
            client.get(f"/emails/{rows[0]['id']}{path}")
        client.patch(f"/emails/{rows[0]['id']}", json={"addLabels": [f"({secrets.create('label')})"]})
        client.patch(f"/emails/{rows[0]['id']}", content=secrets.create("json"))
        client.patch(f"/emails/{rows[0]['id']}", json={secrets.create("field"): secrets.create("value")})
        response = client.post(f"{product.api_url}/api/keys", json={"name": "tablet", "scopes": ["pop3", "api:read"]})
        if response.status_code == 201:
            key = secrets.add(response.json()["key"])
            send_all(product.ports["Pop3__Port"], [f"USER {alice.address}", f"PASS {key}"])
    for header in (
        f"Bearer {secrets.create('bearer')}",
        f"Basic {encode(secrets.create('basic'))}",
        secrets.create("odd"),
    ):
        with product.api() as client:
            client.get("/emails", headers={"Authorization": header})
    send_all(product.ports["Api__Port"], [f"GET / HTTP/1.1 {secrets.create('http')}", secrets.create("header"), ""])


def drive_all_paths(product: Product, secrets: Secrets, alice: Account) -> None:
    """Drive all paths of all protocols."""
    wrong = alice._replace(key=secrets.create("password"))
    subject = deliver_mail(product, secrets, alice)
    for lines in smtp_lines(alice, wrong):
        send_all(product.ports["Smtp__Port"], lines)
    for lines in pop3_lines(alice, wrong):
        send_all(product.ports["Pop3__Port"], lines)
    call_api(product, secrets, alice, subject)
