"""The second part of a report: what programs read (RFC 3464 §2, RFC 3461 §6.3, RFC 6533 §4.1)."""

from collections.abc import Iterator, Sequence

from relate_mime.writing.fields import encode_field
from relate_mime.writing.text import date_time
from relate_relay.reports.parameters import TypedAddress, decode_orcpt, typed
from relate_relay.reports.parts import BodyPart, identity_part
from relate_relay.reports.types import DeliveryResult, Kind, ReportedMessage
from relate_relay.reports.words import checked_status
from relate_relay.xtext import decode_xtext

_Fields = Iterator[tuple[str, str]]


def status_part(message: ReportedMessage, results: Sequence[DeliveryResult], server_name: str) -> BodyPart:
    """The status of each recipient. It is UTF-8 if an address is not ASCII; else it is ASCII, and the rest escaped."""
    groups = [[*_message_fields(message, server_name)], *([*_recipient_fields(message, each)] for each in results)]
    is_global = not all(value.isascii() for fields in groups for name, value in fields if name in _ADDRESSES)
    content = b"\r\n".join(
        b"".join([encode_field(name, value, ascii_only=not is_global) for name, value in fields]) for fields in groups
    )
    return identity_part("message/global-delivery-status" if is_global else "message/delivery-status", content)


_ORIGINAL_RECIPIENT = "Original-Recipient"
_FINAL_RECIPIENT = "Final-Recipient"
_ADDRESSES = frozenset({_ORIGINAL_RECIPIENT, _FINAL_RECIPIENT})


def _message_fields(message: ReportedMessage, server_name: str) -> _Fields:
    if message.envid:
        yield "Original-Envelope-Id", decode_xtext(message.envid)
    name_type = "dns" if "." in server_name else "x-local-hostname"  # RFC 3461 §6.3 (b)
    yield "Reporting-MTA", f"{name_type}; {server_name}"
    yield "Arrival-Date", date_time(message.arrived_at)


def _recipient_fields(message: ReportedMessage, result: DeliveryResult) -> _Fields:
    if result.orcpt:
        yield _ORIGINAL_RECIPIENT, _encode_address(decode_orcpt(result.orcpt))
    yield _FINAL_RECIPIENT, _encode_address(typed(result.address))
    yield "Action", result.kind.value
    yield "Status", checked_status(result.kind, result.status)
    if result.remote_mta:
        yield "Remote-MTA", f"dns; {result.remote_mta}"
    if result.reply:
        yield "Diagnostic-Code", f"smtp; {result.reply}"
    elif result.error:  # no server replied, and a type other than smtp begins with X- (RFC 3464 §2.1.1)
        yield "Diagnostic-Code", f"X-Relate; {result.error}"
    if result.attempted_at is not None:
        yield "Last-Attempt-Date", date_time(result.attempted_at)
    if result.kind is Kind.DELAYED:
        yield "Will-Retry-Until", date_time(message.expires_at)


def _encode_address(typed_address: TypedAddress) -> str:
    return f"{typed_address.type}; {typed_address.address}"
