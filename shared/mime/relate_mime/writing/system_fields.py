"""The header of a message that the mail system writes to a user."""

from collections.abc import Iterator

from relate_mime.writing.fields import encode_field, encode_subject
from relate_mime.writing.text import date_time


def system_fields(
    to: str, subject: str, *, server_name: str, identifier: str, now: float, auto_submitted: str, in_reply_to: str = ""
) -> Iterator[bytes]:
    """The fields except those of MIME, each with its line end. The Return-Path is null, so that no report answers.

    `identifier` is unique on this server (it becomes the Message-ID), `now` is in seconds since the epoch,
    `auto_submitted` is the keyword of RFC 3834 §5, `in_reply_to` a Message-ID with its angle brackets.
    """
    yield encode_field("Return-Path", "<>")
    yield encode_field("Date", date_time(now))
    yield encode_field("From", f"Mail Delivery System <postmaster@{server_name}>")
    yield encode_field("To", f"<{to}>")
    yield encode_subject(subject)
    yield encode_field("Message-ID", f"<{identifier}@{server_name}>")
    if in_reply_to:  # RFC 5322 §3.6.4
        yield encode_field("In-Reply-To", in_reply_to)
        yield encode_field("References", in_reply_to)
    yield encode_field("Auto-Submitted", auto_submitted)
