"""Clients that send random mail, and try again after every failure, as mail servers and mail programs do."""

import re
import smtplib
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import httpx
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError

from tests.integration.product.accounts import Account, message
from tests.integration.sending.ends.mails import SUBJECTS, Action, Mail, To, Way
from tests.integration.sending.processes import Processes
from tests.support.product import HOST, TIMEOUT_SECONDS, Product

LOST = (OSError, smtplib.SMTPServerDisconnected, httpx.TransportError, IMAPClientAbortError)
"""The process was killed."""

_ACCEPTED = re.compile(rb"Accepted as ([0-9a-f-]{36})")


class Accounts(NamedTuple):
    """The users: `ann` sends, the others receive. `reader` is a key of hers that may not send."""

    ann: Account
    bob: Account
    fay: Account
    fred: Account
    reader: str

    @classmethod
    def create(cls, product: Product) -> "Accounts":
        """Create them; fred's quota is less than a message."""
        ann, bob, fay = (Account.create(product, name) for name in ("ann", "bob", "fay"))
        reader = product.create_key(ann.address, ["api:read"], "reader")
        return cls(ann, bob, fay, Account.create(product, "fred", "--quota", "100"), reader)

    def of(self, mail: Mail) -> str:
        """The address of a mail's recipient."""
        local = {To.BOB: self.bob, To.FILTERED: self.fay, To.FULL: self.fred}.get(mail.to)
        return mail.address if local is None else local.address

    def sender(self, mail: Mail) -> str:
        """The reverse-path of a mail."""
        return mail.stranger if mail.way is Way.MX else self.ann.address


def create_filters(product: Product, account: Account) -> None:
    """Filters that act on `SUBJECTS`: mark as read, move, label, delete."""
    _, read, move, label, throw = SUBJECTS
    with api(product, account.key) as client:
        created = client.post("/api/labels", json={"name": "work", "color": "#ff0000"})
        actions: dict[str, dict[str, object]] = {
            read: {"markAsRead": True},
            move: {"moveToMailbox": "Archive"},
            label: {"assignLabelId": created.json()["id"]},
            throw: {"delete": True},
        }
        for subject, action in actions.items():
            made = client.post("/api/filters", json={"name": subject, "subjectContains": subject, **action})
            assert made.status_code == 201, made.text


def api(product: Product, key: str) -> httpx.Client:
    """A client of the API."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=product.api_url, headers=headers, timeout=TIMEOUT_SECONDS)


class Clients:
    """A connection of each kind, opened when needed and again after it was lost. Of one thread."""

    def __init__(self, processes: Processes, accounts: Accounts) -> None:
        self._processes = processes
        self._accounts = accounts
        self._smtp: dict[Way, smtplib.SMTP] = {}
        self._http: dict[str, httpx.Client] = {}
        self._imap: IMAPClient | None = None

    def close(self) -> None:
        """Close the connections."""
        for client in self._http.values():
            client.close()
        for smtp in self._smtp.values():
            smtp.close()
        self._drop_imap()

    def run(self, mail: Mail) -> None:
        """Send a mail until there is a reply to it, then do what its recipient does."""
        send, service = {
            Way.MX: (self._submit, "smtp"),
            Way.SUBMISSION: (self._submit, "smtp"),
            Way.API: (self._post, "api"),
            Way.API_WITH_KEY: (self._post, "api"),
            Way.APPEND: (self._append, "imap"),
        }[mail.way]
        self._persist(service, mail, send)
        if mail.accepted and mail.action is not Action.LEAVE:
            self._persist("api", mail, self._act)

    def _persist(self, service: str, mail: Mail, act: Callable[[Mail], bool]) -> None:
        """Do something until it is done, whatever is killed."""
        product, until = self._processes.of(service), time.monotonic() + 2 * TIMEOUT_SECONDS
        while time.monotonic() < until:
            self._processes.wait_for(product)
            try:
                if act(mail):
                    return
            except LOST:
                mail.failures += 1
        raise AssertionError(f"{service} gives no answer")

    # --- SMTP

    def _connected(self, way: Way) -> smtplib.SMTP:
        if way not in self._smtp:
            product, ann = self._processes.of("smtp"), self._accounts.ann
            port = product.ports["Smtp__MxPort" if way is Way.MX else "Smtp__Port"]
            client = smtplib.SMTP(HOST, port, "client.test", timeout=TIMEOUT_SECONDS)
            client.ehlo()
            if way is Way.SUBMISSION:
                client.starttls(context=product.tls())
                client.login(*ann)
            self._smtp[way] = client
        return self._smtp[way]

    def _submit(self, mail: Mail) -> bool:
        try:
            return self._transact(self._connected(mail.way), mail)
        except LOST:
            if lost := self._smtp.pop(mail.way, None):
                lost.close()
            raise

    def _transact(self, client: smtplib.SMTP, mail: Mail) -> bool:
        client.rset()
        client.mail(self._accounts.sender(mail))
        code, _ = client.rcpt(self._accounts.of(mail))
        if code == 250:
            mail.lost += 1
            code, text = client.data(self._content(mail))
            mail.lost -= 1
            if found := _ACCEPTED.search(text):
                mail.accepted.append(found[1].decode())
                return True
        mail.refused.append(time.monotonic())
        return mail.is_refusable

    def _content(self, mail: Mail) -> bytes:
        written = message(self._accounts.sender(mail), self._accounts.of(mail), subject=mail.subject)
        written.replace_header("Message-ID", f"<{mail.message_id}>")
        return bytes(written)

    # --- REST

    def _client(self, key: str) -> httpx.Client:
        if key not in self._http:
            self._http[key] = api(self._processes.of("api"), key)
        return self._http[key]

    def _post(self, mail: Mail) -> bool:
        headers = {"Content-Type": "message/rfc822"}
        if mail.way is Way.API_WITH_KEY:
            headers["Idempotency-Key"] = f'"{mail.message_id}"'
        client = self._client(self._accounts.ann.key if mail.is_allowed else self._accounts.reader)
        mail.lost += 1
        response = client.post("/api/emails", content=self._content(mail), headers=headers)
        mail.lost -= 1
        if response.status_code == 201:
            mail.accepted.append(response.json()["id"])
            return True
        mail.refused.append(time.monotonic())
        return mail.is_refusable and response.is_client_error

    def _act(self, mail: Mail) -> bool:
        client, path = self._client(self._accounts.bob.key), f"/api/emails/{mail.accepted[-1]}"
        match mail.action:
            case Action.READ:
                done = client.patch(path, json={"isRead": True}).is_success
            case Action.MOVE:
                done = client.post(f"{path}/move", json={"mailbox": "Archive"}).is_success
            case _:
                done = client.delete(path).status_code in {204, 404}  # 404: the reply to an earlier one was lost
        if done:
            mail.acted = time.monotonic()
        return done

    # --- IMAP

    def _append(self, mail: Mail) -> bool:
        try:
            if self._imap is None:
                port = self._processes.of("imap").ports["Imap__Port"]
                self._imap = IMAPClient(HOST, port, ssl=False, timeout=TIMEOUT_SECONDS)
                self._imap.login(*self._accounts.bob)
            mail.lost += 1
            self._imap.append("Drafts", self._content(mail))
            mail.lost -= 1
        except LOST:
            self._drop_imap()
            raise
        mail.appended = True
        return True

    def _drop_imap(self) -> None:
        client, self._imap = self._imap, None
        if client is not None:
            with suppress(OSError):
                client.shutdown()
