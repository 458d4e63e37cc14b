"""What demo traffic is made of: visits, each of them a client as they come. A visit is a function of the place, of a
person, and of chance; `VISITS` says how often each happens.

They trust any certificate: the demo looks after nobody's secrets but its own.
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

TIMEOUT = 10.0  # seconds for an answer
PIECE_SECONDS = 0.5  # a slow client's rest after a piece of its message
IDLE_SECONDS = 5.0  # of listening for new mail
KEPT = 30  # messages in a mailbox: who finds more of them removes the oldest
BIG = 2_000_000  # octets of an attachment

STRANGER = "stranger@example.org"
WORDS = ("invoice", "lunch", "report", "tickets", "photos", "minutes", "thanks", "question")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a mailbox, and the key to it."""

    address: str
    key: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the services are: hosts and ports. Who stays looks at `closing`: a visit ends when that is set."""

    mx: tuple[str, int]
    submission: tuple[str, int]
    pop3: tuple[str, int]
    imap: tuple[str, int]
    api: tuple[str, int]
    closing: Event


Visit = Callable[[Place, Person, Random], None]


# --- mail comes


def receive(place: Place, person: Person, random: Random) -> None:
    """Another server brings a message or two."""
    with _mx(place) as client:
        for _ in range(random.randint(1, 2)):
            client.sendmail(STRANGER, [person.address], _message(STRANGER, person.address, random))


def receive_big(place: Place, person: Person, random: Random) -> None:
    """A message with a large attachment."""
    with _mx(place) as client:
        client.sendmail(STRANGER, [person.address], _message(STRANGER, person.address, random, attached=BIG))


def receive_chunks(place: Place, person: Person, random: Random) -> None:
    """A message in chunks (RFC 3030)."""
    message = _message(STRANGER, person.address, random)
    half = len(message) // 2
    with _mx(place) as client:
        _begin(client, person)
        for chunk, last in ((message[:half], ""), (message[half:], " LAST")):
            client.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
            client.getreply()


def receive_slowly(place: Place, person: Person, random: Random) -> None:
    """A message over a bad line, piece by piece."""
    lines = _message(STRANGER, person.address, random).splitlines(keepends=True)
    with _mx(place) as client:
        _begin(client, person)
        client.docmd("DATA")
        for line in lines:
            client.send(line)
            if random.random() < 0.2:
                place.closing.wait(PIECE_SECONDS)
        client.send(b".\r\n")
        client.getreply()


def receive_for_nobody(place: Place, person: Person, random: Random) -> None:
    """Somebody tries names, and commands."""
    with _mx(place) as client:
        client.ehlo()
        client.mail(STRANGER)
        for name in random.sample(WORDS, 3):
            client.rcpt(f"{name}.{person.address}")
        client.docmd("XYZZY")


def submit(place: Place, person: Person, random: Random) -> None:
    """A person writes themselves a note."""
    with _submission(place) as client:
        client.login(person.address, person.key)
        client.sendmail(person.address, [person.address], _message(person.address, person.address, random))


# --- mail is read


def fetch_pop3(place: Place, person: Person, random: Random) -> None:
    """A program fetches what is there, and leaves most of it on the server; it comes again if another one is at it."""
    client = _pop3(place)
    try:
        client.user(person.address)
        client.pass_(person.key)
        _fetch(client, random)
        client.quit()
    except poplib.error_proto as error:
        if b"[IN-USE]" not in error.args[0]:  # RFC 2449 §8.1.1
            raise
    finally:
        client.close()


def _fetch(client: poplib.POP3, random: Random) -> None:
    count, _ = client.stat()
    client.uidl()
    for number in range(max(1, count - random.randint(0, 3)), count + 1):
        client.top(number, 0)
        client.retr(number)
    for number in range(1, count - KEPT + 1):
        client.dele(number)


def read_imap(place: Place, person: Person, random: Random) -> None:
    """A mail program shows the list, opens the newest, and tidies up."""
    with _imap(place, person) as client:
        client.list()
        count = int((client.select()[1][0] or b"0").decode())
        if count:
            client.fetch(f"{max(1, count - 20)}:{count}", "(FLAGS ENVELOPE RFC822.SIZE)")
            client.fetch(str(count), "(BODY[])")
            client.store(str(random.randint(1, count)), "+FLAGS", "(\\Flagged)")
            client.search(None, "SUBJECT", random.choice(WORDS))
        if count > KEPT:
            client.store(f"1:{count - KEPT}", "+FLAGS", "(\\Deleted)")
            client.expunge()


def idle_imap(place: Place, person: Person, random: Random) -> None:
    """A telephone waits for new mail (RFC 2177)."""
    with _imap(place, person) as client:
        client.select()
        client.send(b"DEMO IDLE\r\n")
        client.readline()
        place.closing.wait(random.uniform(1, IDLE_SECONDS))
        client.send(b"DONE\r\n")
        while client.readline()[:4] not in (b"DEMO", b""):  # what has come meanwhile, and then the end
            continue


def ask_api(place: Place, person: Person, random: Random) -> None:
    """A program lists, searches, reads and marks."""
    page = _ask(place, person, "GET", f"/emails?limit={KEPT}")
    _ask(place, person, "GET", f"/emails/search?q={quote(random.choice(WORDS))}")
    for row in page["items"][:1]:
        _ask(place, person, "GET", f"/emails/{row['id']}")
        _ask(place, person, "PATCH", f"/emails/{row['id']}", {"isRead": True, "addLabels": ["seen-by-demo"]})


# --- mistakes


def mistake_smtp(place: Place, person: Person, random: Random) -> None:
    """A wrong key, for sending."""
    with _submission(place) as client:
        client.docmd("AUTH", "PLAIN " + b64encode(f"\0{_misspelt(person, random)}\0wrong".encode()).decode())


def mistake_pop3(place: Place, person: Person, random: Random) -> None:
    """A wrong key, for fetching."""
    client = _pop3(place)
    try:
        client.user(_misspelt(person, random))
        client.pass_("wrong")
    except poplib.error_proto:
        client.quit()
    finally:
        client.close()


def mistake_imap(place: Place, person: Person, random: Random) -> None:
    """A wrong key, for reading."""
    try:
        with _imap(place, Person(_misspelt(person, random), "wrong")):
            pass
    except imaplib.IMAP4.error:
        pass


def mistake_api(place: Place, person: Person, random: Random) -> None:
    """A wrong key, of a program."""
    _ask(place, Person(person.address, f"rm_{random.getrandbits(128):032x}"), "GET", "/emails")


VISITS: dict[Visit, int] = {
    receive: 30,
    receive_chunks: 5,
    receive_slowly: 3,
    receive_big: 2,
    receive_for_nobody: 3,
    submit: 15,
    fetch_pop3: 14,
    read_imap: 18,
    idle_imap: 4,
    ask_api: 10,
}
"""Visits, and how many of a hundred or so each is."""

MISTAKES: tuple[Visit, ...] = (mistake_smtp, mistake_pop3, mistake_imap, mistake_api)


# --- clients


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _mx(place: Place) -> smtplib.SMTP:
    return smtplib.SMTP(*place.mx, "mx.example.org", timeout=TIMEOUT)


@contextmanager
def _submission(place: Place) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(*place.submission, "client.example.test", timeout=TIMEOUT) as client:
        client.starttls(context=_tls())
        client.ehlo()
        yield client


def _begin(client: smtplib.SMTP, person: Person) -> None:
    client.ehlo()
    client.mail(STRANGER)
    client.rcpt(person.address)


def _pop3(place: Place) -> poplib.POP3_SSL:
    return poplib.POP3_SSL(*place.pop3, context=_tls(), timeout=TIMEOUT)


@contextmanager
def _imap(place: Place, person: Person) -> Iterator[imaplib.IMAP4_SSL]:
    with imaplib.IMAP4_SSL(*place.imap, ssl_context=_tls(), timeout=TIMEOUT) as client:
        client.login(person.address, person.key)
        yield client


def _ask(place: Place, person: Person, method: str, path: str, body: object = None) -> dict[str, list[dict[str, str]]]:
    """One request to the API; what it answers, {"items": []} when it refuses."""
    connection = http.client.HTTPSConnection(*place.api, timeout=TIMEOUT, context=_tls())
    try:
        headers = {"Authorization": f"Bearer {person.key}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        connection.request(method, f"/api/external{path}", content, headers)
        response = connection.getresponse()
        text = response.read()
        return json.loads(text) if response.status == http.client.OK else {"items": []}
    finally:
        connection.close()


def _misspelt(person: Person, random: Random) -> str:
    return random.choice((person.address, f"nobody.{person.address}"))


def _message(sender: str, recipient: str, random: Random, attached: int = 0) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = sender, recipient
    message["Subject"] = f"About the {random.choice(WORDS)}"
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="example.org")
    message.set_content("\n".join(" ".join(random.choices(WORDS, k=9)) for _ in range(random.randint(3, 60))))
    if attached:
        message.add_attachment(random.randbytes(attached), "application", "octet-stream", filename="photo.raw")
    return message.as_bytes().replace(b"\n", b"\r\n")
