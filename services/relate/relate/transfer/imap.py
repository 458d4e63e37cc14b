"""Another server as the source of an import, by IMAP (imapclient, BSD licence).

Mailboxes are examined, not selected, and messages fetched with PEEK: nothing changes there.
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

from relate.transfer.errors import TransferError
from relate.transfer.flags import parse_flags
from relate.transfer.importing import PORTION_MESSAGES, PORTION_OCTETS
from relate.transfer.remote_names import Listed, map_names
from relate.transfer.stored import StoredMessages
from relate.transfer.tally import Tally
from relate_mailstore.types import NewMessage

IMAP_PORT = 143
IMAPS_PORT = 993
CONNECT_SECONDS = 10
ANSWER_SECONDS = 120  # a server that searches a large mailbox may be silent for a minute
# imaplib refuses lines of more than a million octets: so many UIDs fit into one of a SEARCH response.
SEARCH_MESSAGES = 50_000
OUTLINE_MESSAGES = 500  # asked for flags, date and size at a time

T = TypeVar("T")


class ImapAddress(NamedTuple):
    """What an IMAP URL says (RFC 5092), without its path."""

    user: str
    host: str
    port: int
    implicit_tls: bool

    @property
    def is_loopback(self) -> bool:
        """Whether the connection never leaves this machine."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def is_imap_url(text: str) -> bool:
    """Whether a source is another server."""
    return text.lower().startswith(("imap://", "imaps://"))


def parse_imap_url(url: str) -> ImapAddress:
    """The address of an account on another server. Raises TransferError, which does not show the URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise TransferError("the URL cannot be read; expected imap://user@host:port, or imaps://…") from None
    if parts.password is not None:
        raise TransferError(
            "a password in a URL is seen by other users of this machine: leave it out, and it is asked for; "
            "or give --password-file or --password-fd"
        )
    if not parts.username or not parts.hostname:
        raise TransferError("the URL needs a user and a host: imap://user@host or imaps://user@host")
    if ";" in parts.username:
        raise TransferError("parameters of the URL (;AUTH=) are not supported")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise TransferError("the URL ends with the host: all mailboxes are imported, but for those of --exclude")
    implicit_tls = parts.scheme == "imaps"
    port = port or (IMAPS_PORT if implicit_tls else IMAP_PORT)
    return ImapAddress(unquote(parts.username), parts.hostname, port, implicit_tls)


def log_in(address: ImapAddress, password: str, insecure: bool = False) -> IMAPClient:
    """A connection that has logged in; `insecure`: any certificate, or no TLS at all. Raises TransferError."""
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with _translated(address.host):
        client = IMAPClient(
            address.host,
            address.port,
            ssl=address.implicit_tls,
            ssl_context=context,
            timeout=SocketTimeout(CONNECT_SECONDS, ANSWER_SECONDS),
        )
        client.normalise_times = False  # times with their zones
        try:
            if not address.implicit_tls:
                _start_tls(client, context, plaintext_allowed=insecure or address.is_loopback)
            _authenticate(client, address.user, password)
        except BaseException:
            hang_up(client)
            raise
    return client


def hang_up(client: IMAPClient) -> None:
    """Close the connection, whatever became of it."""
    with suppress(OSError):  # it is closed already
        client.shutdown()


def _start_tls(client: IMAPClient, context: ssl.SSLContext, plaintext_allowed: bool) -> None:
    if client.has_capability("STARTTLS"):
        client.starttls(context)
    elif not plaintext_allowed:
        raise TransferError(
            "the server does not offer STARTTLS, and the password is not sent in plaintext: "
            "try imaps://, or --insecure in a network that you trust"
        )


def _authenticate(client: IMAPClient, user: str, password: str) -> None:
    if client.has_capability("AUTH=PLAIN"):
        client.plain_login(user, password)
    else:
        client.login(user, password)


async def remote_folders(
    client: IMAPClient, special_uses: dict[str, str], exclude: Collection[str], limit: int, tally: Tally
) -> Sequence["RemoteFolder"]:
    """The mailboxes of the account that has logged in.

    `special_uses`: the mailboxes here, by special use; `exclude`: names there; `limit`: octets of a message.
    Raises TransferError.
    """
    listed = await _ask(client, _list)
    wanted = [one for one in listed if one.name not in exclude]
    targets, refused = map_names(wanted, special_uses)
    for name, reason in refused:
        tally.skip(name, reason)
    return [RemoteFolder(client, limit, *target) for target in targets]


def _list(client: IMAPClient) -> list[Listed]:
    personal, others = "", list[str]()
    if client.has_capability("NAMESPACE"):
        namespace = client.namespace()
        personal = next((prefix for prefix, _ in namespace.personal or ()), "")
        others = [prefix for prefix, _ in (*(namespace.other or ()), *(namespace.shared or ())) if prefix]
    subscribed = {name for _, _, name in client.list_sub_folders()}
    return [
        Listed(
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
    """A mailbox on the other server, which calls it `there`."""

    client: IMAPClient
    limit: int
    there: str
    name: str
    special_use: str
    subscribed: bool

    async def portions(self, stored: StoredMessages, tally: Tally) -> AsyncIterator[Sequence[NewMessage]]:
        """Its messages by UID, without those of which one of the same size and header is stored."""
        try:
            uids = await _ask(self.client, partial(_uids, mailbox=self.there))
        except _Refused as refusal:
            tally.skip(self.there, str(refusal))
            return
        tally.begin(self.name, len(uids))
        for start in range(0, len(uids), OUTLINE_MESSAGES):
            outlines = await _ask(self.client, partial(_outlines, uids=uids[start : start + OUTLINE_MESSAGES]))
            unmatched = await self._unmatched(outlines, stored, tally)
            for portion in _fetchable(unmatched):
                yield await self._fetched(portion, tally)

    async def _fetched(self, portion: Sequence["_Outline"], tally: Tally) -> list[NewMessage]:
        """Messages of a portion. Where the server refuses one, because it cannot read it, the others come alone."""
        try:
            contents = await _ask(self.client, partial(_contents, uids=[outline.uid for outline in portion]))
        except _Refused as refusal:
            if len(portion) > 1:
                return [message for outline in portion for message in await self._fetched([outline], tally)]
            tally.skip(f"{self.there}, UID {portion[0].uid}", str(refusal))
            return []
        messages = []
        for outline in portion:
            raw = contents.get(outline.uid)
            if raw:
                messages.append(NewMessage(raw, outline.flags, outline.keywords, outline.internal_date))
            elif outline.uid in contents:
                tally.skip(f"{self.there}, UID {outline.uid}", "the message is empty")
        return messages

    async def _unmatched(
        self, outlines: Sequence["_Outline"], stored: StoredMessages, tally: Tally
    ) -> list["_Outline"]:
        asked = [outline.uid for outline in outlines if stored.has_size(outline.size)]
        headers = await _ask(self.client, partial(_headers, uids=asked)) if asked else {}
        unmatched = []
        for outline in outlines:
            if outline.size > self.limit:
                tally.skip(f"{self.there}, UID {outline.uid}", f"a message may have {self.limit} octets")
            elif outline.uid in headers and await stored.match_header(outline.size, headers[outline.uid]):
                tally.find(1)
            else:
                unmatched.append(outline)
        return unmatched


class _Outline(NamedTuple):
    """What is asked of a message before it is fetched."""

    uid: int
    size: int
    flags: int
    keywords: tuple[str, ...]
    internal_date: int | None


class _Refused(TransferError):
    """The server refused a command, and goes on with others."""


def _uids(client: IMAPClient, mailbox: str) -> list[int]:
    """UIDs in ascending order. From the last messages down: what is expunged meanwhile lets none be missed."""
    messages = client.select_folder(mailbox, readonly=True)[b"EXISTS"]
    uids: set[int] = set()
    for last in range(messages, 0, -SEARCH_MESSAGES):
        uids.update(client.search([f"{max(last - SEARCH_MESSAGES, 0) + 1}:{last}"]))
    return sorted(uids)


def _outlines(client: IMAPClient, uids: Sequence[int]) -> list[_Outline]:
    fetched = client.fetch(uids, ["FLAGS", "INTERNALDATE", "RFC822.SIZE"])
    return [_outline(uid, fetched[uid]) for uid in uids if b"RFC822.SIZE" in fetched.get(uid, {})]


def _outline(uid: int, fetched: dict[bytes, Any]) -> _Outline:
    names = (flag.decode("utf-8", "replace") for flag in fetched.get(b"FLAGS", ()))
    date = fetched.get(b"INTERNALDATE")
    seconds = int(date.timestamp()) if isinstance(date, datetime) else None
    return _Outline(uid, fetched[b"RFC822.SIZE"], *parse_flags(names), seconds)


def _headers(client: IMAPClient, uids: Sequence[int]) -> dict[int, bytes]:
    fetched = client.fetch(uids, ["BODY.PEEK[HEADER]"])
    return {uid: items[b"BODY[HEADER]"] for uid, items in fetched.items() if items.get(b"BODY[HEADER]") is not None}


def _contents(client: IMAPClient, uids: Sequence[int]) -> dict[int, bytes | None]:
    """The octets of those messages that are still there; None where the server has none."""
    fetched = client.fetch(uids, ["BODY.PEEK[]"])
    return {uid: items[b"BODY[]"] for uid, items in fetched.items() if b"BODY[]" in items}


def _fetchable(outlines: Sequence[_Outline]) -> Iterator[list[_Outline]]:
    """Outlines of messages that are fetched, and stored, together."""
    portion: list[_Outline] = []
    octets = 0
    for outline in outlines:
        if portion and (len(portion) >= PORTION_MESSAGES or octets + outline.size > PORTION_OCTETS):
            yield portion
            portion, octets = [], 0
        portion.append(outline)
        octets += outline.size
    if portion:
        yield portion


async def _ask(client: IMAPClient, ask: Callable[[IMAPClient], T]) -> T:
    """Ask the server in a thread. Raises TransferError."""

    def asked() -> T:
        with _translated(client.host):
            return ask(client)

    return await asyncio.to_thread(asked)


@contextmanager
def _translated(host: str) -> Iterator[None]:
    """What imapclient raises as TransferError: the server's own words, which hold no password."""
    try:
        yield
    except LoginError as error:
        raise TransferError(f"{host} refused the login: {error}") from None
    except IMAPClientAbortError as error:
        raise TransferError(f"the connection to {host} was lost ({error}); run the import again to go on") from None
    except IMAPClientError as error:
        raise _Refused(f"{host} refused: {error}") from None
    except ssl.SSLCertVerificationError as error:
        raise TransferError(f"the certificate of {host} is not trusted: {error}; --insecure accepts any") from None
    except OSError as error:
        raise TransferError(f"no connection with {host}: {error}; run the import again to go on") from None
