"""Every path with marked secrets in it: logins right, wrong and out of place, mail as it should be and should not."""

import socket
from uuid import uuid4

from tests.integration.product.accounts import Account, message
from tests.integration.product.counting import encode, plain
from tests.integration.product.marked import Secrets
from tests.support.product import HOST, TIMEOUT_SECONDS, Product

STRANGER = "stranger@example.org"


def smtp_lines(alice: Account, wrong: Account) -> list[list[str]]:
    """Conversations on the submission port: logins of every kind, out of place, and malformed."""
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
    """The same for POP3, and a maildrop that is read."""
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


def pour(port: int, lines: list[str]) -> bytes:
    """Say all of it at once, then hang up; what was answered."""
    with socket.create_connection((HOST, port), timeout=TIMEOUT_SECONDS) as client:
        client.sendall("".join(f"{line}\r\n" for line in lines).encode(errors="surrogateescape"))
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answer:
            return answer.read()


def write(product: Product, secrets: Secrets, alice: Account) -> str:
    """A message, as it should be and as it should not; its subject."""
    subject = secrets.make("subject")
    mail = message(STRANGER, alice.address, subject=f"Re: {subject}", text=f"{secrets.make('body')}\n")
    mail.add_attachment(secrets.make("attached").encode(), "application", "pdf", filename=secrets.make("name"))
    content = mail.as_bytes()
    start = ["EHLO x", f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{alice.address}>"]
    text = content.decode().splitlines()
    port = product.ports["Smtp__MxPort"]
    pour(port, [*start, "DATA", *text, "."])
    pour(port, [*start, "DATA", *text[:-3]])  # and gone
    pour(port, [*start, "DATA", content.decode().replace("\r\n", "\n"), "."])
    pour(port, [*start, f"BDAT {len(content) + 2} LAST", content.decode()])
    pour(port, text)  # without an envelope every line is a command
    return subject


def call(product: Product, secrets: Secrets, alice: Account, subject: str) -> None:
    """The API with right and wrong keys, searches, and bodies that make no sense."""
    with product.api(alice.key) as client:
        client.get("/emails", params={"label": "later"})
        found = client.get("/emails/search", params={"q": subject, "key": secrets.make("parameter")})
        client.get("/emails/search", params={"q": subject})
        client.get("/emails/search", params={"q": subject * 10})
        client.get("/emails", params={"cursor": secrets.make("cursor")})
        rows = found.json().get("items") or client.get("/emails").json().get("items") or [{"id": uuid4()}]
        for path in ("", "/raw"):
            client.get(f"/emails/{rows[0]['id']}{path}")
        client.patch(f"/emails/{rows[0]['id']}", json={"addLabels": [f"({secrets.make('label')})"]})
        client.patch(f"/emails/{rows[0]['id']}", content=secrets.make("json"))
        client.patch(f"/emails/{rows[0]['id']}", json={secrets.make("field"): secrets.make("value")})
        made = client.post(f"{product.api_url}/api/keys", json={"name": "tablet", "scopes": ["pop3", "api:read"]})
        if made.status_code == 201:
            new = secrets.keep(made.json()["key"])
            pour(product.ports["Pop3__Port"], [f"USER {alice.address}", f"PASS {new}"])
    for header in (f"Bearer {secrets.make('bearer')}", f"Basic {encode(secrets.make('basic'))}", secrets.make("odd")):
        with product.api() as client:
            client.get("/emails", headers={"Authorization": header})
    pour(product.ports["Api__Port"], [f"GET / HTTP/1.1 {secrets.make('http')}", secrets.make("header"), ""])


def drive(product: Product, secrets: Secrets, alice: Account) -> None:
    """Everything."""
    wrong = alice._replace(key=secrets.make("password"))
    subject = write(product, secrets, alice)
    for lines in smtp_lines(alice, wrong):
        pour(product.ports["Smtp__Port"], lines)
    for lines in pop3_lines(alice, wrong):
        pour(product.ports["Pop3__Port"], lines)
    call(product, secrets, alice, subject)
