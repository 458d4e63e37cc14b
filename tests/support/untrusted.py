"""The functions that parse untrusted octets, for `tests/unit/test_linear.py` and `make fuzz`.

Each takes octets, never raises, and takes linear time. `seeds` are valid inputs, which the fuzzer mutates; `units` are
repeated to make adversarial inputs.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import dns.message
import h11
from fastapi import HTTPException

from relate_accounts.addresses import canonical_address
from relate_accounts.errors import InvalidAddress
from relate_api.autoconfig.outlook import requested_address
from relate_api.compose.recipients import find_recipients
from relate_api.compose.sending import normalise_lines
from relate_api.developers.extract import find_codes, find_links
from relate_api.developers.namespaces import namespace_of, parse_namespace, within
from relate_api.emails.criteria import to_criteria
from relate_api.emails.query_language import QueryError, parse_query
from relate_api.http.conditional import matches, matches_none
from relate_api.http.disposition import attachment, safe_name
from relate_api.http.form_data import MalformedForm, parse_form_data
from relate_api.http.forwarded import resolve_client
from relate_api.http.framing import RequestReader
from relate_api.http.ranges import NotSatisfiableError, parse_range
from relate_api.live.position import parse_token
from relate_api.oidc.browser_secrets import BrowserSecrets
from relate_api.oidc.browser_secrets import sign as sign_cookie
from relate_api.oidc.browser_secrets import verify as verify_cookie
from relate_api.page.html_mail.sanitiser import sanitise
from relate_api.page.html_mail.text import text_of_html
from relate_api.page.shown import one_line, plain_text
from relate_imap import framing as imap_framing
from relate_imap import grammar
from relate_imap.commands import Section, SectionText
from relate_imap.fetch.sections import choose_fields
from relate_imap.handlers.list_status import MAX_PATTERN_CHARACTERS
from relate_imap.list_patterns import matching
from relate_imap.search.keys import HasHeader
from relate_imap.search.run import matching_fields
from relate_imap.search.sort import display_of, mailbox_of
from relate_imap.search.subject import base_subject
from relate_imap.selected.sequence_set import parse_set
from relate_mailstore.cursors import parse_cursor
from relate_mailstore.envelope_ids import verify_envelope
from relate_mailstore.filter_rules import fields_of, meets
from relate_mailstore.filter_types import Conditions, LabelStyle
from relate_mailstore.folding import collation_key, fold
from relate_mailstore.identifiers import AccountId
from relate_mailstore.label_rules import new_label
from relate_mailstore.mailbox_names import MAX_NAME_OCTETS, normalise_new_name
from relate_mailstore.search_text import message_text
from relate_mailstore.summary_text import summary_text
from relate_mime import (
    decode_header,
    header_fields,
    index_message,
    parse_addresses,
    parse_date,
    without_extensions,
)
from relate_mime.address_lists import read_address_list
from relate_mime.charsets import decode_charset, decode_unlabelled
from relate_mime.delivery_reports import parse_report
from relate_mime.embedded import find_embedded
from relate_mime.fields import collect_fields, header_end, strip_comments
from relate_mime.groups import people_with_groups
from relate_mime.html import html_text
from relate_mime.parameters import parse_disposition, parse_media_type
from relate_mime.preview import preview_part
from relate_mime.scan import scan
from relate_mime.strings import encode_string
from relate_mime.surrogate import encode_field, encode_header
from relate_mime.transfer import QuotedPrintableDecoder, decode_transfer
from relate_mime.writing.mbox import MboxEncoder
from relate_outbound.dns.names import parse_literal, to_ascii
from relate_outbound.dns.nameserver import MAX_UDP_OCTETS, parse_datagram
from relate_outbound.dns.sts_record import find_id
from relate_pop3 import commands as pop3_commands
from relate_pop3.framing import pop3_framer
from relate_relay.client.capabilities import parse_capabilities
from relate_relay.client.replies import ReplyFault, ReplyParser, ServerReply
from relate_relay.dkim.next_hop import Refusal, prepare
from relate_relay.dkim.signing import collect_canonical, hash_body, header_to_sign, names_to_sign
from relate_relay.reports.parameters import decode_orcpt
from relate_relay.reports.report import make_report
from relate_relay.reports.types import DeliveryResult, Kind, Report, ReportedMessage
from relate_relay.routing.mta_sts import parse_policy
from relate_relay.xtext import decode_xtext
from relate_smtp import commands as smtp_commands
from relate_smtp.framing import Mode, SmtpFramer
from relate_submission.authorship import author_of, only_address
from relate_submission.header import Field, Header, TooManyFields, bcc_fields, forged_fields, missing_fields
from relate_submission.message import find_traceparent, has_looped
from relate_wire import proxy, sasl
from relate_wire.dots import DotDecoder, DotEncoder
from relate_wire.limits import parse_networks
from relate_wire.ports import Framer, Peer


class Untrusted(NamedTuple):
    """A function of octets, valid inputs, and units to repeat (before, unit, after)."""

    function: Callable[[bytes], Any]
    seeds: tuple[bytes, ...]
    units: tuple[tuple[bytes, bytes, bytes], ...]


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _conversation(make: Callable[[], Framer[Any]], parse: Callable[[Any], Any]) -> Callable[[bytes], Any]:
    """Frame and parse the octets of a client."""

    def read(octets: bytes) -> list[Any]:
        framer = make()
        framer.feed(octets)
        return [parse(frame) for frame in iter(framer.next_frame, None)]

    return read


def _imap() -> Framer[Any]:
    framer = imap_framing.ImapFramer()
    framer.allow(1_048_576)
    return framer


def _parse_imap(frame: Any) -> Any:
    return grammar.parse(frame) if isinstance(frame, imap_framing.Frame) else frame


def _smtp_content() -> Framer[Any]:
    framer = SmtpFramer(1_048_576)
    framer.expect(Mode.CONTENT)
    return framer


def _dots(octets: bytes) -> bytes:
    decoder, encoder = DotDecoder(1_048_576), DotEncoder()
    for start in range(0, len(octets), 1_000):
        decoder.feed(encoder.encode(octets[start : start + 1_000]))
    decoder.feed(encoder.finish())
    return decoder.content()


def _delivery(octets: bytes) -> Any:
    header = Header(octets)
    try:
        removed = [*forged_fields(header, "mail.example"), *bcc_fields(header)]
        found = has_looped(header), find_traceparent(header), author_of(header)
        return *found, missing_fields(header, "", ""), header.without(removed)
    except TooManyFields:
        return None


def _sent(octets: bytes) -> Any:
    """What the API reads of a message that it sends."""
    try:
        return find_recipients(Header(normalise_lines(octets)), 100)
    except (HTTPException, TooManyFields):
        return None


def _in_pieces(make: Callable[[], Framer[Any]]) -> Callable[[bytes], Any]:
    """Frame the octets when they arrive seven at a time."""

    def read(octets: bytes) -> list[Any]:
        framer, frames = make(), list[Any]()
        for start in range(0, len(octets), 7):
            framer.feed(octets[start : start + 7])
            frames += iter(framer.next_frame, None)
        return frames

    return read


def _server_replies(octets: bytes) -> list[Any]:
    """Parse the replies of a server in pieces, as the reply to EHLO too."""
    parser = ReplyParser()
    replies: list[ServerReply] = []
    try:
        for start in range(0, len(octets), 1_000):
            parser.feed(octets[start : start + 1_000])
            replies += iter(parser.next_reply, None)
    except ReplyFault:
        return replies
    return [(reply.text, parse_capabilities(reply)) for reply in replies]


def _list_patterns(octets: bytes) -> list[str]:
    """Match a pattern, the first line, against mailbox names, the other lines."""
    pattern, *names = _text(octets).split("\n")
    return matching(names, [pattern[:MAX_PATTERN_CHARACTERS]])


def _datagram(octets: bytes) -> Any:
    """Parse the answer of a name server, as long as it may be."""
    datagram = octets[:MAX_UDP_OCTETS].ljust(_DNS_HEADER_OCTETS, b"\0")
    try:
        return parse_datagram(datagram)
    except dns.message.Truncated:
        return None


def _domain(octets: bytes) -> Any:
    """Convert a recipient's domain; read it as an address literal."""
    return to_ascii(_text(octets)), parse_literal(_text(octets))


def _proxy(octets: bytes) -> Any:
    try:
        rest = proxy.parse_preamble(octets[: proxy.HEADER_OCTETS])
        return proxy.parse_addresses(octets[: proxy.HEADER_OCTETS], octets[proxy.HEADER_OCTETS :][:rest])
    except proxy.ProxyError:
        return None


def _address(octets: bytes) -> str | None:
    try:
        return canonical_address(_text(octets))
    except InvalidAddress:
        return None


def _cursor(octets: bytes) -> Any:
    try:
        return parse_cursor(_text(octets))
    except ValueError:
        return None


def _query(octets: bytes) -> Any:
    try:
        return to_criteria(parse_query(_text(octets)), ())
    except QueryError as error:
        return error.position


def _download(octets: bytes) -> Any:
    """Read the fields of a request for a file, and write the name of the file."""
    text = _text(octets)
    try:
        selected = parse_range(text, 1_000)
    except NotSatisfiableError:
        selected = None
    return selected, matches_none(text, '"a"'), matches(text, '"a"'), attachment(safe_name(text, "a"))


def _found(octets: bytes) -> Any:
    text = _text(octets)
    return find_links(text, text), find_codes(text, text, None), find_codes("", None, text)


def _form(octets: bytes) -> Any:
    try:
        return parse_form_data(octets, "multipart/form-data; boundary=b")
    except MalformedForm:
        return None


def _position(octets: bytes) -> str:
    position = parse_token(_text(octets))
    return "" if position is None else position.token


def _names(octets: bytes) -> Any:
    name = grammar.mailbox_names.decode_utf7(octets.decode("latin-1"))
    return grammar.mailbox_names.encode_utf7(name), normalise_new_name((), name[:MAX_NAME_OCTETS])


def _header_searched(octets: bytes) -> Any:
    keys = [HasHeader("SUBJECT", "a"), HasHeader("X", "")]
    section = Section("", SectionText.FIELDS, ("SUBJECT", "A"))
    return matching_fields(keys, octets), choose_fields(section)(octets)


def _addresses_with_groups(octets: bytes) -> Any:
    index = index_message(octets)
    return people_with_groups(index), summary_text(index)


def _preview(octets: bytes) -> list[str]:
    return [preview_part(octets, part) for part in index_message(octets).parts]


def _quoted_printable_in_pieces(octets: bytes) -> bytes:
    decoder = QuotedPrintableDecoder()
    pieces = [decoder.decode(octets[start : start + 1_000]) for start in range(0, len(octets), 1_000)]
    return b"".join([*pieces, decoder.finish()])


def _mbox_in_pieces(octets: bytes) -> bytes:
    encoder = MboxEncoder()
    pieces = [encoder.encode(octets[start : start + 1_000]) for start in range(0, len(octets), 1_000)]
    return b"".join([*pieces, encoder.finish()])


def _html_in_pieces(octets: bytes) -> str:
    text = _text(octets)
    return "".join(html_text(text[start : start + 1_000] for start in range(0, len(text), 1_000)))


def _filtered(octets: bytes) -> bool:
    index, conditions = index_message(octets), Conditions("@", "a", "b", "c", has_attachments=False, larger=0)
    body = message_text(octets, index.parts).body
    return meets(conditions, fields_of(index, fold(index.subject)), body.__contains__)


def _folded(octets: bytes) -> str:
    return collation_key(fold(_text(octets)))


def _bodystructure(octets: bytes) -> bytes:
    return without_extensions(index_message(octets).bodystructure)


def _relayed(octets: bytes) -> Any:
    """Prepare a message for a server that takes 7-bit mail only, and compute what a signature signs."""
    prepared = prepare(octets, eight_bit_mime=False, smtputf8=False)
    if isinstance(prepared, Refusal):
        return prepared
    fields = collect_canonical(prepared.header)
    return hash_body(prepared.body()), header_to_sign(fields, names_to_sign(fields), b"DKIM-Signature: b=")


def _searched(octets: bytes) -> Any:
    return message_text(octets, index_message(octets).parts)


def _sasl(octets: bytes) -> None:
    for exchange in (sasl.plain(), sasl.login(), sasl.oauthbearer()):
        try:
            next(exchange)
            exchange.send(octets)
        except (StopIteration, sasl.SaslError):
            continue


def _http(octets: bytes) -> int:
    reader = RequestReader()
    reader.receive_data(octets)
    try:
        while reader.next_event() not in (h11.NEED_DATA, h11.PAUSED):
            continue
    except h11.RemoteProtocolError:
        return reader.error_status
    return 0


def _forwarded(octets: bytes) -> Any:
    fields = [(name, octets) for name in (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto")]
    return resolve_client(Peer("10.0.0.1", 1), fields, parse_networks("10.0.0.0/8"))


def _report(octets: bytes) -> bytes:
    """Report a message, and a reply that quotes it."""
    text = _text(octets)
    message = ReportedMessage("ann@example.test", True, octets, len(octets), 0.0, 0.0, ret="FULL", envid=text)
    result = DeliveryResult(text, Kind.FAILED, text, reply=text, remote_mta=text, orcpt=text)
    return make_report(Report(message, (result,)), server_name="mail.example.test", report_id="1", now=0.0)


def _labelled(octets: bytes) -> str:
    label, _, text = octets.partition(b"\n")
    return decode_charset(text, label.decode("latin-1"))


Unit = tuple[bytes, bytes, bytes]


def _units(before: bytes, units: Iterable[bytes], after: bytes = b"") -> tuple[Unit, ...]:
    return tuple((before, unit, after) for unit in units)


_MESSAGE = b"""\
From: Ann <ann@example.test>\r
To: group: a@b.example, "C, D" <c@d.example>;\r
Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r
Date: Mon, 2 Nov 2026 10:00:00 +0100\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/html; charset=utf-8\r
Content-Transfer-Encoding: quoted-printable\r
\r
<p>caf=C3=A9 <b>two</b> &amp; &#8364;</p>=\r
\r
--b\r
Content-Type: application/pdf; name*=utf-8''a%20b.pdf\r
Content-Disposition: attachment; filename*0=a; filename*1=b\r
Content-Transfer-Encoding: base64\r
\r
JVBERi0=\r
--b\r
Content-Type: message/rfc822\r
\r
Subject: inner\r
\r
text\r
--b--\r
"""
_HTML = b"Content-Type: text/html\r\n\r\n"
_DSN = b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
_RETURNED = b"Final-Recipient: a@b\r\nStatus: 5.1.1\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
_MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
_DIGEST = b"Content-Type: multipart/digest; boundary=b\r\n\r\n"

# fmt: off
_VALUES = (
    b"a", b" ", b"\r\n ", b"(", b")", b'"', b"\\", b'\\"', b"<", b">", b"@", b",", b":", b";", b"a@b,", b"a:b,",
    b"<a@b>", b"=?", b"=?a?q?", b"=?utf-8?q?a?= ", b"=?utf-8?b?YQ==?=", b"?=", b"=", b"1", b"1 ", b"-", b"[",
    b"a*0=b;", b"\xc3",
)
_LINES = (
    b"a", b" ", b"(", b")", b"1,", b"1:", b"*", b"%", b'"', b"\\", b"{", b"{1+}\r\na", b"OR ", b"NOT ", b"ALL ", b"[",
    b"]", b"\r", b"\n", b"\r\n", b"\0", b"\xff", b"a@", b".", b"@a,", b"BODY[] ", b"HEADER.FIELDS (a) ", b"&AOQ-",
    b"=", b"+",
)
_MARKUP = (
    b"<a ", b"<", b"<!--", b"<!-", b"<style>", b"<style", b"</", b"<b>", b"<b></b>", b"<p a='", b'<p a="', b"<div>",
    b"</p>", b"&", b"&#1", b"&#x1;", b"&amp;", b"<![CDATA[", b"<?", b"\xcc\x88", b"\xef\xb7\xba", b"<textarea>",
    b"<svg><style>",
)
_FIELDS = (
    b"a", b"a: b\r\n", b"a b: c\r\n", b"\r\n", b" \r\n", b"a:\r\n ", b"From \n", b": ", b"\xff:", b"a\r\n",
    b"Bcc: a\r\n",
)
_PARTS = (
    b"--b\r\n", b"--b!\r\n", b"--b\r\n\r\nx\r\n", b"\n--", _MIXED + b"--b\r\n",
    b"--b\r\nContent-ID: <a>\r\n\r\n\r\n",
)
_PARAMETERS = (b"(a)", b';a="', b"; a*1=b", b";", b'"\\', b";a=", b";a*=''%41")
# fmt: on
_STATUS = (
    b"Final-Recipient: rfc822; a@b\r\n",
    b"Action: failed\r\n\r\n",
    b"Status: 5.1.1 ",
    b"Status: 5.",
    b"\r\n ",
    b"\n",
    b" \r\n",
    b"\r\n\r\n",
    b"Diagnostic-Code: smtp; \x1b",
    b";",
)
_HEADERS = (*_units(b"", _FIELDS), (b"a", b" ", b""), (b"Subject: a\r\n", b" b\r\n", b"\r\n"))
_MESSAGES = (
    *_HEADERS,
    *_units(_MIXED, _PARTS),
    (b"", b"Content-Type: message/rfc822\r\n\r\n", b""),
    (_DIGEST, b"--b\r\n\r\nTo: a\r\n\r\nb\r\n", b""),
    *_units(b"To: ", _VALUES, b"\r\n\r\n"),
    *_units(b"Content-Type: text/plain", _PARAMETERS, b"\r\n\r\n"),
)
_HTML_TEXTS = (
    *_units(_HTML, _MARKUP),
    (_HTML + b"&#", b"1", b";"),
    (_HTML + b"<p ", b"a=b ", b">"),
    (_HTML + b"a", b"\xcc\x88", b""),
)
_HEADER_VALUES = (*_units(b"", _VALUES), *_units(b"a ", _VALUES, b"\xff"))
_LETTERS = _units(b"a", ("\u0316\u0301".encode(), "\ufdfa".encode(), "\u0345\u0302".encode(), "ß".encode()))
_REMOVED = (
    b"Bcc:\n ",
    b"Bcc: a\r\n",
    b"traceparent:",
    b"authentication-results: ((((((((\r\n",
    b"return-path\r\n",
    b"date ",
)
_CHUNKS = (*_LINES, b"BDAT 1\r\nx", b"BDAT 0\r\n", b"\r\n.\r", b"{0+}\r\n", b"a append x {1+}\r\ny")
_RELAYED = (
    *_units(b"\r\n", (b"a\r\n", b"\xff\r\n", b"\xff", b"\r\n", b" ", b"\t", b" \r\n", b"\r", b"\n", b"=", b"a  b")),
    *_units(_MIXED, (b"--b\r\n\r\n\xff\r\n", b"--b\r\nContent-Type: a/b; c=\xff\r\n\r\n\r\n"), b"--b--\r\n"),
    *_units(_MIXED + b"\xff\r\n", (b"a\r\n", b"--b", b"--b \r\n\r\n")),
    *_units(b"Content-Transfer-Encoding: base64\r\n\r\n", (b"AAAA", b"=", b"\xff")),
    *_units(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n", (b"=3D", b"=", b"\xff", b" ")),
    *_units(b"Subject:", (b" a", b" \xc3\xbc", b" ", b"\r\n a", b"\xff"), b"\r\n\r\n"),
    (b"Subject: a\r\n", b"To: a\r\n", b"\r\n"),
    (b"", b"Content-Type: message/rfc822\r\n\r\n", b"From: \xc3\xbc@a\r\n\r\n\xff"),
)
_GROUPS = (b"a:;,", b'"\\"": b@c;')
_EMBEDDED = (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <a>\r\n"
    b"Content-Location: a.png\r\n\r\nx\r\n--b\r\nContent-Type: text/html\r\n\r\n"
)
_REFERENCES = (b"cid:&a%40 ", b"=a ", b"cid:", b"=", b'="a', b"cid:a ")
_SUBJECTS = (*_HEADER_VALUES, *_units(b"", (b"re[a]: ", b"[a]re", b"(fwd) ", b"[fwd: ")))
_PATTERNS = (
    (b"*a" * 20 + b"b\n", b"a", b""),
    (b"%a" * 20 + b"b\n", b"a", b""),
    (b"*\n", b"a/", b""),
    (b"", b"*a", b"\naaaa"),
    (b"", b"%", b"\na"),
)
_COMMANDS = (b"", b"a SEARCH ", b"a FETCH 1 (", b"a LIST (", b"a STORE 1 ", b"a ID (")
_IMAP_LINES = tuple(unit for command in _COMMANDS for unit in _units(command, _LINES, b"\r\n"))
_SMTP_LINES = tuple(
    unit for before in (b"", b"MAIL FROM:<", b"RCPT TO:<a@b> ") for unit in _units(before, _LINES, b"\r\n")
)

_HTTP_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
_CHUNKED = _HTTP_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_REQUESTS = (
    *_units(b"", _LINES, b"\r\n\r\n"),
    *_units(_HTTP_HEAD, (*_LINES, b"a: b\r\n", b"a:\n", b" a\r\n", b"Content-Length: 1,"), b"\r\n\r\n"),
    *_units(_CHUNKED, (*_LINES, b"1\r\na\r\n", b"1;a"), b"0\r\n\r\n"),
    (_CHUNKED + b"0\r\n", b"a:b\r\n", b"\r\n"),
    (b"GET /?", b"a&", b" HTTP/1.1\r\nHost: a\r\n\r\n"),
)
_HOPS = _units(b"", (*_VALUES, b"10.0.0.2,", b"for=10.0.0.2,", b"for=", b'for="[', b"::", b"https,"))

_IMAP_SEEDS = (
    b"a LOGIN x y\r\n",
    b"a SELECT INBOX (QRESYNC (1 2 1:3))\r\n",
    b'a LIST (SUBSCRIBED) "" (INBOX a/%) RETURN (STATUS (MESSAGES))\r\n',
    b"a UID FETCH 1:* (FLAGS BODY.PEEK[1.HEADER.FIELDS (To From)]<0.10>)\r\n",
    b"a STORE 1 +FLAGS.SILENT (\\Seen x)\r\n",
    b"a SEARCH RETURN (MIN) CHARSET UTF-8 OR FROM {1+}\r\na NOT (SINCE 1-Jan-2026 UID 1:3)\r\n",
    b"a APPEND x (\\Seen) {3+}\r\nabc\r\n",
    b"a SORT (REVERSE DATE) UTF-8 ALL\r\n",
    b'a ID ("name" "x" "version" NIL)\r\n',
    b"a ENABLE CONDSTORE\r\na IDLE\r\n",
)
_SMTP_SEEDS = (
    b"EHLO [127.0.0.1]\r\n",
    b"MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME\r\n",
    b'RCPT TO:<"a b"@[IPv6:::1]> NOTIFY=NEVER\r\n',
    b"AUTH PLAIN AGEAYg==\r\n",
    b"BDAT 3 LAST\r\nabc",
)
_REPLIES = (*_LINES, b"250-", b"250 ", b"250-a\r\n", b"250 a\r\n", b"250-SIZE 1\r\n", b"550 5.1.1 ", b"\x85")
_POP3_SEEDS = (b"USER a\r\nPASS b\r\n", b"TOP 1 10\r\n", b"LIST 1\r\n", b"UIDL\r\n", b"AUTH PLAIN AGEAYg==\r\n")

_DNS_HEADER_OCTETS = 12
_DNS_RECORD = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01"
_DNS_ANSWER = b"\0\1\x81\x80\0\x01\0\x30\0\0\0\0\x07example\x04test\0\0\x01\0\x01" + _DNS_RECORD * 48

_DISCOVER_REQUEST = (
    b'<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">'
    b"<Request><EMailAddress>a@example.org</EMailAddress></Request></Autodiscover>"
)

_FORM = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'

UNTRUSTED: Mapping[str, Untrusted] = {
    "a message": Untrusted(index_message, (_MESSAGE,), _MESSAGES),
    "BODY of a message": Untrusted(_bodystructure, (_MESSAGE,), _MESSAGES),
    "the text of a message": Untrusted(
        _searched, (_MESSAGE, _HTML + b"<p>a<b>c</b>&lt;</p>"), (*_HTML_TEXTS, *_MESSAGES)
    ),
    "header fields": Untrusted(lambda octets: list(header_fields(octets, 0, len(octets))), (_MESSAGE,), _HEADERS),
    "a header for POP3": Untrusted(
        encode_header, ('Subject: Grüße\r\n "Ödön"\r\n'.encode(),), (*_HEADERS, *_HEADER_VALUES)
    ),
    "a header field for the relay": Untrusted(
        encode_field,
        ("Subject: Grüße\r\n".encode(), "To: Jörg <a@b>\r\n".encode()),
        (*_units(b"Subject: ", _VALUES), *_units(b"To: ", _VALUES), *_units(b"Content-Type: a/b", _PARAMETERS)),
    ),
    "a header value": Untrusted(decode_header, (b"=?utf-8?q?a=20b?= =?iso-8859-1*en?B?5A==?=",), _HEADER_VALUES),
    "addresses": Untrusted(parse_addresses, (b'"A, B" <a@b>, g: c@d (x), <@e:f@g>;',), _HEADER_VALUES),
    "an author": Untrusted(
        lambda octets: only_address([Field(octets, 0, len(octets))]),
        (b'"A, B" (c@d) <a@b>', b"x@y <a@b>"),
        _HEADER_VALUES,
    ),
    "an address list": Untrusted(read_address_list, (b"Ann <a@b.example>, c@d.example",), _HEADER_VALUES),
    "a date": Untrusted(parse_date, (b"Mon, 2 Nov 2026 10:00:00 +0100 (CET)", b"2026-11-02T10:00:00Z"), _HEADER_VALUES),
    "a media type": Untrusted(
        parse_media_type, (b"text/plain; charset=utf-8; name*0*=a''b; name*1=c",), _HEADER_VALUES
    ),
    "a disposition": Untrusted(parse_disposition, (b'attachment; filename="a b.pdf"; size=3',), _HEADER_VALUES),
    "base64": Untrusted(partial(decode_transfer, encoding="base64"), (b"YWJj\r\nZGVm",), _HEADER_VALUES),
    "quoted-printable": Untrusted(
        partial(decode_transfer, encoding="quoted-printable"),
        (b"a=20b=\r\nc =\t\r\n",),
        (*_HEADER_VALUES, (b"", b" \t", b"\n")),
    ),
    "text of a charset": Untrusted(_labelled, (b"iso-2022-jp\n\x1b$B!!\x1b(B", b"utf-7\n+AOQ-"), _HEADER_VALUES),
    "folding": Untrusted(_folded, ("Straße ΑΣ ｆｕｌｌ ﬁ".encode(),), (*_HEADER_VALUES, *_HTML_TEXTS, *_LETTERS)),
    "filters of a message": Untrusted(_filtered, (_MESSAGE,), _MESSAGES),
    "a label's keyword": Untrusted(
        lambda octets: new_label(AccountId(1), LabelStyle(_text(octets), "#000000"), ()),
        ("Grüße 2026".encode(), b"work"),
        (*_HEADER_VALUES, *_LETTERS),
    ),
    "HTML in pieces": Untrusted(_html_in_pieces, (b"<p>a<b>c</b>&lt;<!-- x --></p>",), _HTML_TEXTS),
    "a preview": Untrusted(_preview, (_MESSAGE, _HTML + b"<p>a</p>"), _HTML_TEXTS),
    "people with groups": Untrusted(
        _addresses_with_groups, (_MESSAGE,), _HEADERS + _units(b"To: ", (*_VALUES, b"a:;,", b'"\\"": b@c;'))
    ),
    "embedded parts": Untrusted(
        lambda octets: find_embedded(octets, scan(octets)), (_EMBEDDED,), _units(_EMBEDDED, _REFERENCES)
    ),
    "a header's end": Untrusted(
        lambda octets: (header_end(octets, 0, len(octets)), collect_fields(octets)), (_MESSAGE,), _HEADERS
    ),
    "comments": Untrusted(strip_comments, (b"a (b (c) \\) d) e",), _HEADER_VALUES),
    "unlabelled text": Untrusted(decode_unlabelled, ("grüße".encode(), "grüße".encode("latin-1")), _HEADER_VALUES),
    "an IMAP string": Untrusted(encode_string, (b'a"b', b"a\r\nb"), _HEADER_VALUES),
    "quoted-printable in pieces": Untrusted(
        _quoted_printable_in_pieces,
        (b"a=20b=\r\nc =\t\r\n",),
        (*_HEADER_VALUES, (b"", b" \n", b""), (b"", b"=\r", b"")),
    ),
    "mbox in pieces": Untrusted(
        _mbox_in_pieces, (_MESSAGE, b"From a\r\n>From b\r\n"), _units(b"", (b">", b"\n>", b"\r", b"\nFrom ", b"\nFro"))
    ),
    "a header that is searched": Untrusted(_header_searched, (_MESSAGE,), _HEADERS),
    "a set of numbers": Untrusted(parse_set, (b"1:3,5,*:7",), _units(b"", (b"1:2,", b"9,", b"1", b"*,"), b"x")),
    "a mailbox's name": Untrusted(
        _names, (b"INBOX/&AOQ-b", b"a&-"), _HEADER_VALUES + _units(b"", (b"&", b"&AOk-", b"\xe9"))
    ),
    "a mailbox to sort by": Untrusted(
        lambda octets: (mailbox_of(_text(octets)), display_of(_text(octets))),
        (b"Ann <a@b.example>, <c@d>",),
        _HEADER_VALUES,
    ),
    "a base subject": Untrusted(
        lambda octets: base_subject(_text(octets).lower()), (b"re: [list] fwd: (fwd) a (fwd)",), _SUBJECTS
    ),
    "a LIST pattern": Untrusted(_list_patterns, (b"a/%b*c\na/b/c\nINBOX",), _PATTERNS),
    "IMAP": Untrusted(_conversation(_imap, _parse_imap), _IMAP_SEEDS, _IMAP_LINES),
    "SMTP": Untrusted(_conversation(lambda: SmtpFramer(1_048_576), smtp_commands.parse), _SMTP_SEEDS, _SMTP_LINES),
    "IMAP in pieces": Untrusted(_in_pieces(_imap), _IMAP_SEEDS, _units(b"a APPEND x ", _CHUNKS, b"\r\n")),
    "SMTP in pieces": Untrusted(_in_pieces(lambda: SmtpFramer(1_048_576)), _SMTP_SEEDS, _units(b"", _CHUNKS, b"\r\n")),
    "SMTP content": Untrusted(_conversation(_smtp_content, len), (_MESSAGE + b".\r\n",), _units(b"", _LINES, b"\r\n")),
    "a message to send": Untrusted(
        _sent,
        (_MESSAGE, _MESSAGE.replace(b"\r\n", b"\n")),
        (
            *_units(b"To: ", (*_LINES, b"a@b, ", b"<a@b>,", b"g:a@b;", b'"a" <a@b>, ', b"(", b"a,\r\n "), b"\r\n\r\n"),
            *_units(b"", (b"To: a@b\r\n", b"Bcc: a@b\n", b"Cc:\r\n"), b"\r\n\r\n"),
        ),
    ),
    "POP3": Untrusted(_conversation(pop3_framer, pop3_commands.parse), _POP3_SEEDS, _units(b"", _LINES, b"\r\n")),
    "the replies of a server": Untrusted(
        _server_replies,
        (b"220 mx.example\r\n250-mx.example\r\n250-SIZE 100\r\n250 AUTH PLAIN\r\n", b"550 5.1.1 no such user\r\n"),
        (*_units(b"", _REPLIES, b"\r\n"), *_units(b"250-", _REPLIES, b"\r\n250 a\r\n")),
    ),
    "SASL": Untrusted(_sasl, (b"\0a\0b", b"n,a=x,\x01auth=Bearer t\x01\x01"), _HEADER_VALUES),
    "HTTP": Untrusted(_http, (_HTTP_HEAD + b"\r\n", _CHUNKED + b"1;a=b\r\na\r\n0\r\nb: c\r\n\r\n"), _REQUESTS),
    "what a proxy says": Untrusted(
        _forwarded, (b'for="[2001:db8::1]:80";proto=https, for=10.0.0.2', b"192.0.2.1:80, ::1, https"), _HOPS
    ),
    "PROXY": Untrusted(_proxy, (proxy.encode(("127.0.0.1", 1), ("127.0.0.1", 2)),), _HEADER_VALUES),
    "a DNS answer": Untrusted(
        _datagram,
        (_DNS_ANSWER,),
        ((_DNS_ANSWER[:_DNS_HEADER_OCTETS], b"\xc0\x0c", b""), (_DNS_ANSWER, _DNS_RECORD, b"")),
    ),
    "a recipient's domain": Untrusted(
        _domain, (b"mx.example.test", "bücher.example".encode(), b"[IPv6:::1]"), (*_HEADER_VALUES, *_LETTERS)
    ),
    "an MTA-STS record": Untrusted(
        lambda octets: find_id(octets.split(b"\n")),
        (b"v=STSv1; id=1; a.b_c=d",),
        _units(b"v=STSv1;", (b" id=1;", b";", b" ", b"a=", b"a=b"), b""),
    ),
    "an MTA-STS policy": Untrusted(
        parse_policy,
        (b"version: STSv1\r\nmode: enforce\r\nmx: *.a.test\r\nmax_age: 1\r\n",),
        _units(
            b"version: STSv1\nmode: none\nmax_age: 1\n", (b"mx: a\n", b"a:b\n", b"a", b"\r\n", b" ", b"mx: a.a"), b""
        ),
    ),
    "dots": Untrusted(_dots, (b"a\r\n.b\r\n..\r\n",), _units(b"", _LINES, b"\r\n")),
    "HTML for the page": Untrusted(
        lambda octets: sanitise(_text(octets), {"a": "data:image/png;base64,"}),
        (b'<p style="color: red">a<img src="cid:a"><a href="https://b/?c=1&amp;">e</a><table><td>f</table><!-- g -->',),
        (
            *_units(b"", (b"<div>", b"<b><p>", b"<p a=b ", b"<!--", b"&", b"<style>", b"<ul><li>"), b""),
            (b'<p style="', b"a:b;", b'">'),
            (b'<img src="', b"cid:", b'">'),
        ),
    ),
    "text for the page": Untrusted(
        lambda octets: (plain_text(_text(octets)), one_line(_text(octets))),
        (b"See https://example.org/?a=b, and <c>.",),
        ((b"", b"http://", b""), (b"", b"https://a) ", b""), (b"", b"<", b""), (b"http://a", b")", b"")),
    ),
    "a search": Untrusted(
        _query,
        (b'from:ann -subject:"a \\"b\\"" has:attachment is:unread in:x before:2026-11-30 larger:1M text',),
        _units(b"", (b"a ", b"a:", b'"', b'"a" ', b"\\", b'\\"', b"- ", b"-", b"from:a ", b"from:", b"larger:1", b" ")),
    ),
    "a download": Untrusted(
        _download,
        (b"bytes=0-99", b'"a", W/"b"', b"../a.pdf"),
        _units(b"", (*_VALUES, b"1", b"bytes=1-", b'"a",', b"../", b"\xe2\x80\xae")),
    ),
    "a cursor": Untrusted(_cursor, (b"1.01234567-89ab-cdef-0123-456789abcdef",), _HEADER_VALUES),
    "the position of a stream": Untrusted(
        _position,
        (b"AQeAgICABAEBgICAgIABAg", b"AQcAAgECBQMEBgEJCAcGBQ"),
        (*_HEADER_VALUES, *_units(b"AQcA", (b"AQEB", b"gICA", b"____"), b"")),
    ),
    "a login": Untrusted(
        _address, (b"Ann@Example.TEST", b'"a b"@x.example', "ü@ü.example".encode()), (*_HEADER_VALUES, *_LETTERS)
    ),
    "a message to relay": Untrusted(
        _relayed, (_MESSAGE, "From: Jörg <a@b>\r\nSubject: ü\r\n\r\nü \t\r\n".encode()), (*_MESSAGES, *_RELAYED)
    ),
    "a delivery report": Untrusted(_report, (_MESSAGE,), (*_HEADERS, *_units(b"Subject: ", _VALUES, b"\r\n\r\n"))),
    "another server's delivery report": Untrusted(
        parse_report,
        (_DSN + b"Final-Recipient: rfc822; a@b\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n",),
        (
            *_units(_DSN, _STATUS, b"\r\n--b--\r\n"),
            *_units(_DSN, _PARTS),
            *_units(_DSN + _RETURNED, _FIELDS, b"\r\n--b--\r\n"),
        ),
    ),
    "links and codes": Untrusted(
        _found,
        (b"Your code is 123-456: https://example.org/a.", b'<a class=x href="https://example.org/?a=1&amp;b">1234</a>'),
        (
            *_units(
                b"", (b"https://a/", b"https://", b"1234 ", b"123 456", b"AB12-", b"A-", b"<a href=", b'<a href="x')
            ),
            *_units(b"https://a/", (b")", b"](", b".", b"12")),
            *_units(b"<a ", (b"href ", b"href=", b" a=b", b" ")),
        ),
    ),
    "a form with files": Untrusted(
        _form,
        (_FORM + b"octets\r\n--b--\r\n",),
        (
            *_units(_FORM, (b"\r\n", b"\r\n--", b"\r\n--b\r\n", b"a"), b"\r\n--b--\r\n"),
            *_units(b"--b\r\n", (b"a", b"a:", b"a: b\r\n")),
            *_units(b"--b\r\nContent-Disposition: form-data", (b";", b";a=", b'"', b"\\")),
        ),
    ),
    "HTML that is quoted": Untrusted(
        lambda octets: text_of_html(_text(octets)),
        (b"<p>One<br>two</p>",),
        _units(b"", (b"<br>", b"<br", b"</p", b"<", b"\n", b"<p> </p>")),
    ),
    "a namespace": Untrusted(
        lambda octets: (parse_namespace(_text(octets)), namespace_of(_text(octets)), within(_text(octets), "a")),
        (b"alice+t1@example.test", b"t-1.a_b"),
        _units(b"", (b"+", b"@", b"+a@", b'"', b".")),
    ),
    "an autodiscover request": Untrusted(
        requested_address,
        (_DISCOVER_REQUEST,),
        (
            *_units(b"", (b"<a>", b"<a", b"<!--", b"&amp;", b" a='b'")),
            *_units(
                b"<Autodiscover><Request><EMailAddress>", (b"a<!-- -->", b"&lt;", b"</EMailAddress><EMailAddress>")
            ),
        ),
    ),
    "an envelope identifier": Untrusted(
        lambda octets: verify_envelope(b"secret", _text(octets), AccountId(1), "a.example"),
        (f"{'0' * 32}.{'0' * 32}".encode(),),
        _units(b"", (b"0", b".", b"F", b"\xc5\xbf")),
    ),
    "a cookie of the sign-in by an issuer": Untrusted(
        lambda octets: verify_cookie(b"secret", _text(octets), 0),
        (sign_cookie(b"secret", BrowserSecrets("state", "nonce", "verifier"), 1).encode(),),
        _units(b"", (b".", b"0", b"1.", b"\xc5\xbf")),
    ),
    "parameters of a report": Untrusted(
        lambda octets: (decode_xtext(_text(octets)), decode_orcpt(_text(octets))),
        (b"rfc822;a+2Bb@example.org", b"utf-8;\\x{E4}@example.org"),
        (*_units(b"utf-8;", (b"\\x{", b"\\x{E4}", b"\\x{1", b";")), *_units(b"a;", (b"+", b"+2", b"+2B"))),
    ),
    "what a delivery looks for": Untrusted(
        _delivery,
        (b"Bcc: a@b\r\n c@d\r\nReceived: x\r\ntraceparent: 00-0-0-01\r\n\r\n",),
        (*_HEADERS, *_units(b"", _REMOVED), (b"Authentication-Results:", b"\r\n (", b"")),
    ),
}
