"""Another IMAP server as the source of an import (imapclient, BSD licence).

Mailboxes are opened with EXAMINE and messages fetched with BODY.PEEK, so that nothing changes on the server.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError

from relate.transfer.deduplication import StoredMessages
from relate.transfer.errors import TransferError
from relate.transfer.flags import parse_flags
from relate.transfer.importer import BATCH_MESSAGES, BATCH_OCTETS
from relate.transfer.mailbox_mapping import RemoteMailbox, map_mailboxes
from relate.transfer.report import TransferReport
from relate_mailstore.types import NewMessage, Uid

IMAP_PORT = 143
IMAPS_PORT = 993
CONNECT_SECONDS = 10
RESPONSE_SECONDS = 120  # SEARCH in a large mailbox may take a minute
# imaplib rejects lines longer than a million octets; a SEARCH response with this many UIDs is shorter.
MESSAGES_PER_SEARCH = 50_000
OUTLINES_PER_FETCH = 500

T = TypeVar("T")


class ImapAccount(NamedTuple):
    """The account named by an IMAP URL (RFC 5092)."""

    user: str
    host: str
    port: int
    implicit_tls: bool

    @property
    def is_loopback(self) -> bool:
        """Whether the connection stays on this machine."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def is_imap_url(text: str) -> bool:
    """Whether a source is an IMAP URL."""
    return text.lower().startswith(("imap://", "imaps://"))


def parse_imap_url(url: str) -> ImapAccount:
    """Parse the URL of an account. Raises TransferError without the URL, because it may contain a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise TransferError("malformed URL; expected imap://user@host:port or imaps://…") from None
    if parts.password is not None:
        raise TransferError(
            "a password in a URL is visible to other users of this machine: omit it to be prompted, "
            "or use --password-file or --password-fd"
        )
    if not parts.username or not parts.hostname:
        raise TransferError("the URL needs a user and a host: imap://user@host or imaps://user@host")
    if ";" in parts.username:
        raise TransferError("parameters of the URL (;AUTH=) are not supported")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise TransferError("the URL must end with the host: all mailboxes are imported, except for those of --exclude")
    implicit_tls = parts.scheme == "imaps"
    port = port or (IMAPS_PORT if implicit_tls else IMAP_PORT)
    return ImapAccount(unquote(parts.username), parts.hostname, port, implicit_tls)


def log_in(account: ImapAccount, password: str, insecure: bool = False) -> IMAPClient:
    """Connect and log in; `insecure` accepts any certificate, and servers without TLS. Raises TransferError."""
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with _imap_errors(account.host):
        client = IMAPClient(
            account.host,
            account.port,
            ssl=account.implicit_tls,
            ssl_context=context,
            timeout=SocketTimeout(CONNECT_SECONDS, RESPONSE_SECONDS),
        )
        client.normalise_times = False  # keep the time zones of dates
        try:
            if not account.implicit_tls:
                _start_tls(client, context, plaintext_allowed=insecure or account.is_loopback)
            _authenticate(client, account.user, password)
        except BaseException:
            close_connection(client)
            raise
    return client


def close_connection(client: IMAPClient) -> None:
    """Close the connection, whatever its state."""
    with suppress(OSError):  # already closed
        client.shutdown()


def _start_tls(client: IMAPClient, context: ssl.SSLContext, plaintext_allowed: bool) -> None:
    if client.has_capability("STARTTLS"):
        client.starttls(context)
    elif not plaintext_allowed:
        raise TransferError(
            "the server does not offer STARTTLS, and the password must not be sent in plaintext: "
            "try imaps://, or --insecure in a trusted network"
        )


def _authenticate(client: IMAPClient, user: str, password: str) -> None:
    if client.has_capability("AUTH=PLAIN"):
        client.plain_login(user, password)
    else:
        client.login(user, password)


async def list_remote_folders(
    client: IMAPClient, special_uses: dict[str, str], exclude: Collection[str], limit: int, report: TransferReport
) -> Sequence["RemoteFolder"]:
    """The mailboxes of the logged-in account.

    `special_uses`: our mailboxes by special use; `exclude`: remote names; `limit`: maximum size of a message in octets.
    Raises TransferError.
    """
    mailboxes = await _run_command(client, _list_mailboxes)
    selected = [mailbox for mailbox in mailboxes if mailbox.name not in exclude]
    mapped, rejected = map_mailboxes(selected, special_uses)
    for name, reason in rejected:
        report.add_skipped(name, reason)
    return [RemoteFolder(client, limit, *mailbox) for mailbox in mapped]


def _list_mailboxes(client: IMAPClient) -> list[RemoteMailbox]:
    personal, others = "", list[str]()
    if client.has_capability("NAMESPACE"):
        namespace = client.namespace()
        personal = next((prefix for prefix, _ in namespace.personal or ()), "")
        others = [prefix for prefix, _ in (*(namespace.other or ()), *(namespace.shared or ())) if prefix]
    subscribed = {name for _, _, name in client.list_sub_folders()}
    return [
        RemoteMailbox(
            name,
            (delimiter or b"").decode("ascii", "replace"),
            frozenset(flag.decode("ascii", "replace").upper() for flag in flags),
            name in subscribed,
            personal,
        )
        for flags, delimiter, name in client.list_folders()
        if not any(name.startswith(prefix) for prefix in others)
    ]


@dataclass(frozen=True)
class RemoteFolder:
    """A mailbox on the other server."""

    client: IMAPClient
    limit: int
    remote_name: str
    name: str
    special_use: str
    subscribed: bool

    async def batches(self, stored: StoredMessages, report: TransferReport) -> AsyncIterator[Sequence[NewMessage]]:
        """See `importer.SourceFolder`. Messages with the size and header of a stored mailbox are not fetched."""
        try:
            uids = await _run_command(self.client, partial(_search_uids, mailbox=self.remote_name))
        except _CommandRefused as error:
            report.add_skipped(self.remote_name, str(error))
            return
        report.start_mailbox(self.name, len(uids))
        for start in range(0, len(uids), OUTLINES_PER_FETCH):
            outlines = await _run_command(
                self.client, partial(_fetch_outlines, uids=uids[start : start + OUTLINES_PER_FETCH])
            )
            unmatched = await self._unmatched(outlines, stored, report)
            for batch in _split_batches(unmatched):
                yield await self._fetch_batch(batch, report)

    async def _fetch_batch(self, batch: Sequence["_Outline"], report: TransferReport) -> list[NewMessage]:
        """Fetch a batch. If the server refuses it, fetch its messages one by one, because one may be unreadable."""
        try:
            contents = await _run_command(
                self.client, partial(_fetch_contents, uids=[outline.uid for outline in batch])
            )
        except _CommandRefused as error:
            if len(batch) > 1:
                return [message for outline in batch for message in await self._fetch_batch([outline], report)]
            report.add_skipped(f"{self.remote_name}, UID {batch[0].uid}", str(error))
            return []
        messages = []
        for outline in batch:
            raw = contents.get(outline.uid)
            if raw:
                messages.append(NewMessage(raw, outline.flags, outline.keywords, outline.internal_date))
            elif outline.uid in contents:
                report.add_skipped(f"{self.remote_name}, UID {outline.uid}", "the message is empty")
        return messages

    async def _unmatched(
        self, outlines: Sequence["_Outline"], stored: StoredMessages, report: TransferReport
    ) -> list["_Outline"]:
        candidates = [outline.uid for outline in outlines if stored.has_size(outline.size)]
        headers = await _run_command(self.client, partial(_fetch_headers, uids=candidates)) if candidates else {}
        unmatched = []
        for outline in outlines:
            if outline.size > self.limit:
                report.add_skipped(
                    f"{self.remote_name}, UID {outline.uid}", f"larger than the limit of {self.limit} octets"
                )
            elif outline.uid in headers and await stored.match_header(outline.size, headers[outline.uid]):
                report.add_present(1)
            else:
                unmatched.append(outline)
        return unmatched


class _Outline(NamedTuple):
    """The attributes of a message that are fetched before its content."""

    uid: Uid
    size: int
    flags: int
    keywords: tuple[str, ...]
    internal_date: int | None


class _CommandRefused(TransferError):
    """The server rejected a command; the connection is still usable."""


def _search_uids(client: IMAPClient, mailbox: str) -> list[Uid]:
    """All UIDs in ascending order. Searched from the end, so that a concurrent EXPUNGE hides no message."""
    messages = client.select_folder(mailbox, readonly=True)[b"EXISTS"]
    uids: set[Uid] = set()
    for last in range(messages, 0, -MESSAGES_PER_SEARCH):
        uids.update(client.search([f"{max(last - MESSAGES_PER_SEARCH, 0) + 1}:{last}"]))
    return sorted(uids)


def _fetch_outlines(client: IMAPClient, uids: Sequence[Uid]) -> list[_Outline]:
    fetched = client.fetch(uids, ["FLAGS", "INTERNALDATE", "RFC822.SIZE"])
    return [_parse_outline(uid, fetched[uid]) for uid in uids if b"RFC822.SIZE" in fetched.get(uid, {})]


def _parse_outline(uid: Uid, fetched: dict[bytes, Any]) -> _Outline:
    names = (flag.decode("utf-8", "replace") for flag in fetched.get(b"FLAGS", ()))
    date = fetched.get(b"INTERNALDATE")
    seconds = int(date.timestamp()) if isinstance(date, datetime) else None
    return _Outline(uid, fetched[b"RFC822.SIZE"], *parse_flags(names), seconds)


def _fetch_headers(client: IMAPClient, uids: Sequence[Uid]) -> dict[Uid, bytes]:
    fetched = client.fetch(uids, ["BODY.PEEK[HEADER]"])
    return {uid: items[b"BODY[HEADER]"] for uid, items in fetched.items() if items.get(b"BODY[HEADER]") is not None}


def _fetch_contents(client: IMAPClient, uids: Sequence[Uid]) -> dict[Uid, bytes | None]:
    """The contents of the messages that still exist; None where the server returned NIL."""
    fetched = client.fetch(uids, ["BODY.PEEK[]"])
    return {uid: items[b"BODY[]"] for uid, items in fetched.items() if b"BODY[]" in items}


def _split_batches(outlines: Sequence[_Outline]) -> Iterator[list[_Outline]]:
    """Split outlines into batches that are fetched and stored together."""
    batch: list[_Outline] = []
    octets = 0
    for outline in outlines:
        if batch and (len(batch) >= BATCH_MESSAGES or octets + outline.size > BATCH_OCTETS):
            yield batch
            batch, octets = [], 0
        batch.append(outline)
        octets += outline.size
    if batch:
        yield batch


async def _run_command(client: IMAPClient, command: Callable[[IMAPClient], T]) -> T:
    """Run a command in a thread. Raises TransferError."""

    def run() -> T:
        with _imap_errors(client.host):
            return command(client)

    return await asyncio.to_thread(run)


@contextmanager
def _imap_errors(host: str) -> Iterator[None]:
    """Raise imapclient's errors as TransferError, with the server's text, which contains no password."""
    try:
        yield
    except LoginError as error:
        raise TransferError(f"{host} refused the login: {error}") from None
    except IMAPClientAbortError as error:
        raise TransferError(f"the connection to {host} was lost ({error}); run the import again to continue") from None
    except IMAPClientError as error:
        raise _CommandRefused(f"{host} refused: {error}") from None
    except ssl.SSLCertVerificationError as error:
        raise TransferError(f"the certificate of {host} is not trusted: {error}; --insecure accepts any") from None
    except OSError as error:
        raise TransferError(f"no connection with {host}: {error}; run the import again to continue") from None
