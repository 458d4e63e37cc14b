"""Synthetic client sessions. Each is a function of the endpoints, a user and a random generator; `SESSION_WEIGHTS` says
how often each runs.

They accept any certificate, because the demo has no secrets but its own.
"""

import http.client
import imaplib
import json
import poplib
import smtplib
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from random import Random
from threading import Event
from urllib.parse import quote

RESPONSE_TIMEOUT_SECONDS = 10.0
LINE_PAUSE_SECONDS = 0.5  # between lines of a slow client
IDLE_SECONDS = 5.0
MAX_MAILBOX_MESSAGES = 30  # a client that finds more deletes the oldest ones
ATTACHMENT_OCTETS = 2_000_000

EXTERNAL_SENDER = "stranger@example.org"
WORDS = ("invoice", "lunch", "report", "tickets", "photos", "minutes", "thanks", "question")


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A user of the demo and its API key."""

    address: str
    key: str


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Host and port of each service; a session that waits ends when `stop_requested` is set."""

    mx: tuple[str, int]
    submission: tuple[str, int]
    pop3: tuple[str, int]
    imap: tuple[str, int]
    api: tuple[str, int]
    stop_requested: Event


Session = Callable[[Endpoints, DemoUser, Random], None]


# --- delivery


def deliver_messages(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """Another server delivers one or two messages."""
    with _mx(endpoints) as client:
        for _ in range(random.randint(1, 2)):
            client.sendmail(EXTERNAL_SENDER, [user.address], _message(EXTERNAL_SENDER, user.address, random))


def deliver_attachment(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """Another server delivers a message with a large attachment."""
    with _mx(endpoints) as client:
        client.sendmail(
            EXTERNAL_SENDER, [user.address], _message(EXTERNAL_SENDER, user.address, random, attached=ATTACHMENT_OCTETS)
        )


def deliver_with_bdat(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """Another server delivers a message with BDAT (RFC 3030)."""
    message = _message(EXTERNAL_SENDER, user.address, random)
    half = len(message) // 2
    with _mx(endpoints) as client:
        _begin_transaction(client, user)
        for chunk, last in ((message[:half], ""), (message[half:], " LAST")):
            client.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
            client.getreply()


def deliver_slowly(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """Another server delivers a message over a slow connection."""
    lines = _message(EXTERNAL_SENDER, user.address, random).splitlines(keepends=True)
    with _mx(endpoints) as client:
        _begin_transaction(client, user)
        client.docmd("DATA")
        for line in lines:
            client.send(line)
            if random.random() < 0.2:
                endpoints.stop_requested.wait(LINE_PAUSE_SECONDS)
        client.send(b".\r\n")
        client.getreply()


def deliver_to_unknown_users(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """A client probes unknown recipients and an unknown command."""
    with _mx(endpoints) as client:
        client.ehlo()
        client.mail(EXTERNAL_SENDER)
        for name in random.sample(WORDS, 3):
            client.rcpt(f"{name}.{user.address}")
        client.docmd("XYZZY")


def submit_message(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """The user submits a message to itself."""
    with _submission(endpoints) as client:
        client.login(user.address, user.key)
        client.sendmail(user.address, [user.address], _message(user.address, user.address, random))


# --- reading


def read_pop3(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """A mail client reads the newest messages; ends quietly if another session holds the maildrop."""
    client = _pop3(endpoints)
    try:
        client.user(user.address)
        client.pass_(user.key)
        _read_maildrop(client, random)
        client.quit()
    except poplib.error_proto as error:
        if b"[IN-USE]" not in error.args[0]:  # RFC 2449 §8.1.1
            raise
    finally:
        client.close()


def _read_maildrop(client: poplib.POP3, random: Random) -> None:
    count, _ = client.stat()
    client.uidl()
    for number in range(max(1, count - random.randint(0, 3)), count + 1):
        client.top(number, 0)
        client.retr(number)
    for number in range(1, count - MAX_MAILBOX_MESSAGES + 1):
        client.dele(number)


def read_imap(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """A mail client lists INBOX, opens the newest message, searches, and deletes old messages."""
    with _imap(endpoints, user) as client:
        client.list()
        count = int((client.select()[1][0] or b"0").decode())
        if count:
            client.fetch(f"{max(1, count - 20)}:{count}", "(FLAGS ENVELOPE RFC822.SIZE)")
            client.fetch(str(count), "(BODY[])")
            client.store(str(random.randint(1, count)), "+FLAGS", "(\\Flagged)")
            client.search(None, "SUBJECT", random.choice(WORDS))
        if count > MAX_MAILBOX_MESSAGES:
            client.store(f"1:{count - MAX_MAILBOX_MESSAGES}", "+FLAGS", "(\\Deleted)")
            client.expunge()


def idle_imap(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """A mobile client waits for new mail with IDLE (RFC 2177)."""
    with _imap(endpoints, user) as client:
        client.select()
        client.send(b"DEMO IDLE\r\n")
        client.readline()
        endpoints.stop_requested.wait(random.uniform(1, IDLE_SECONDS))
        client.send(b"DONE\r\n")
        while client.readline()[:4] not in (b"DEMO", b""):  # untagged responses, then the tagged one
            continue


def call_api(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """A program lists, searches, reads and marks messages over the REST API."""
    page = _request(endpoints, user, "GET", f"/emails?limit={MAX_MAILBOX_MESSAGES}")
    _request(endpoints, user, "GET", f"/emails/search?q={quote(random.choice(WORDS))}")
    for row in page["items"][:1]:
        _request(endpoints, user, "GET", f"/emails/{row['id']}")
        _request(endpoints, user, "PATCH", f"/emails/{row['id']}", {"isRead": True, "addLabels": ["seen-by-demo"]})


# --- failed logins


def fail_smtp_login(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """SMTP AUTH with a wrong key."""
    with _submission(endpoints) as client:
        client.docmd("AUTH", "PLAIN " + b64encode(f"\0{_address_or_unknown(user, random)}\0wrong".encode()).decode())


def fail_pop3_login(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """USER and PASS with a wrong key."""
    client = _pop3(endpoints)
    try:
        client.user(_address_or_unknown(user, random))
        client.pass_("wrong")
    except poplib.error_proto:
        client.quit()
    finally:
        client.close()


def fail_imap_login(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """LOGIN with a wrong key."""
    try:
        with _imap(endpoints, DemoUser(_address_or_unknown(user, random), "wrong")):
            pass
    except imaplib.IMAP4.error:
        pass


def fail_api_login(endpoints: Endpoints, user: DemoUser, random: Random) -> None:
    """A REST request with a wrong key."""
    _request(endpoints, DemoUser(user.address, f"rm_{random.getrandbits(128):032x}"), "GET", "/emails")


SESSION_WEIGHTS: dict[Session, int] = {
    deliver_messages: 30,
    deliver_with_bdat: 5,
    deliver_slowly: 3,
    deliver_attachment: 2,
    deliver_to_unknown_users: 3,
    submit_message: 15,
    read_pop3: 14,
    read_imap: 18,
    idle_imap: 4,
    call_api: 10,
}
"""Sessions with their relative frequency."""

FAILED_LOGINS: tuple[Session, ...] = (fail_smtp_login, fail_pop3_login, fail_imap_login, fail_api_login)


# --- clients


def unverified_tls() -> ssl.SSLContext:
    """A client's context that accepts any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _mx(endpoints: Endpoints) -> smtplib.SMTP:
    return smtplib.SMTP(*endpoints.mx, "mx.example.org", timeout=RESPONSE_TIMEOUT_SECONDS)


@contextmanager
def _submission(endpoints: Endpoints) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(*endpoints.submission, "client.example.test", timeout=RESPONSE_TIMEOUT_SECONDS) as client:
        client.starttls(context=unverified_tls())
        client.ehlo()
        yield client


def _begin_transaction(client: smtplib.SMTP, user: DemoUser) -> None:
    client.ehlo()
    client.mail(EXTERNAL_SENDER)
    client.rcpt(user.address)


def _pop3(endpoints: Endpoints) -> poplib.POP3_SSL:
    return poplib.POP3_SSL(*endpoints.pop3, context=unverified_tls(), timeout=RESPONSE_TIMEOUT_SECONDS)


@contextmanager
def _imap(endpoints: Endpoints, user: DemoUser) -> Iterator[imaplib.IMAP4_SSL]:
    with imaplib.IMAP4_SSL(*endpoints.imap, ssl_context=unverified_tls(), timeout=RESPONSE_TIMEOUT_SECONDS) as client:
        client.login(user.address, user.key)
        yield client


def _request(
    endpoints: Endpoints, user: DemoUser, method: str, path: str, body: object = None
) -> dict[str, list[dict[str, str]]]:
    """Send one request to the API; returns its JSON, or {"items": []} if the status is not 200."""
    connection = http.client.HTTPSConnection(*endpoints.api, timeout=RESPONSE_TIMEOUT_SECONDS, context=unverified_tls())
    try:
        headers = {"Authorization": f"Bearer {user.key}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        connection.request(method, f"/api/external{path}", content, headers)
        response = connection.getresponse()
        text = response.read()
        return json.loads(text) if response.status == http.client.OK else {"items": []}
    finally:
        connection.close()


def _address_or_unknown(user: DemoUser, random: Random) -> str:
    return random.choice((user.address, f"nobody.{user.address}"))


def _message(sender: str, recipient: str, random: Random, attached: int = 0) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = sender, recipient
    message["Subject"] = f"About the {random.choice(WORDS)}"
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="example.org")
    message.set_content("\n".join(" ".join(random.choices(WORDS, k=9)) for _ in range(random.randint(3, 60))))
    if attached:
        message.add_attachment(random.randbytes(attached), "application", "octet-stream", filename="photo.raw")
    return message.as_bytes().replace(b"\n", b"\r\n")
