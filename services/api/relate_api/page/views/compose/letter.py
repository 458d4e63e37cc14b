"""What a person has typed into the form, and how it becomes a `NewEmail`. Pure."""

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from relate_api.compose.answers import visible_line
from relate_api.compose.once import KEY_PATTERN
from relate_api.compose.schemas import (
    MAX_FIELD_ADDRESSES,
    MAX_NAME_CHARACTERS,
    MAX_SUBJECT_CHARACTERS,
    Correspondent,
    NewAttachment,
    NewEmail,
)
from relate_api.http.disposition import safe_name
from relate_api.http.form_data import FormData, FormFile
from relate_api.page.shown import one_line
from relate_mime.address_lists import read_address_list
from relate_mime.addresses import LIST_LIMIT_OCTETS
from relate_submission.paths import is_address

ADDRESS_FIELDS = ("to", "cc", "bcc")
MAX_TYPED_CHARACTERS = 1024 * 1024
"""Of all fields together, because a form that is refused is shown again: in HTML it may be twenty times as large."""

_KEY_OCTETS = 16
_SHOWN_ADDRESSES = 3
_NOT_ATOMS = re.compile(r"[^\w !#$%&'*+/=?^`{|}~-]")
_SPECIAL = re.compile(r'(["\\])')

Errors = dict[str, str]
"""Sentences by the fields that they belong to; of the whole form by ""."""


def new_key() -> str:
    """The key of a form: what it has sent once is not sent again with it."""
    return secrets.token_urlsafe(_KEY_OCTETS)


def valid_key(key: str) -> str:
    """A key that a form has sent; a new one in place of what is none."""
    return key if re.fullmatch(KEY_PATTERN, key) else new_key()


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The texts of the form, and the messages that it refers to.

    `removed` are the attachments of the draft, by their ids, that the next version does not keep.
    """

    sender: str = ""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    text: str = ""
    reply: UUID | None = None
    forward: UUID | None = None
    draft: UUID | None = None
    removed: frozenset[str] = frozenset()
    key: str = field(default_factory=new_key)

    @classmethod
    def of(cls, form: FormData) -> "Letter":
        """What a form has sent."""
        return cls(
            **{name: form.text(name) for name in ("sender", *ADDRESS_FIELDS, "subject", "text")},
            reply=_identifier(form.text("reply")),
            forward=_identifier(form.text("forward")),
            draft=_identifier(form.text("draft")),
            removed=frozenset(form.fields.get("remove", [])),
            key=valid_key(form.text("key")),
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """What was typed."""
        return self.sender, self.to, self.cc, self.bcc, self.subject, self.text

    @property
    def is_too_long(self) -> bool:
        """Whether it is too long to be shown again."""
        return sum(map(len, self.texts)) > MAX_TYPED_CHARACTERS

    def fingerprint(self, files: Iterable[FormFile]) -> str:
        """A hash of what is sent."""
        digest = hashlib.sha256()
        ids = (self.reply, self.forward, self.draft, *sorted(self.removed))
        for text in map(str, (*self.texts, *ids)):
            digest.update(f"{len(text)} {text}\n".encode(errors="replace"))
        for file in files:
            digest.update(f"{len(file.content)} {len(file.name)} {file.name}\n".encode(errors="replace"))
            digest.update(file.content)
        return digest.hexdigest()


def read_letter(letter: Letter, files: Sequence[FormFile], own: Sequence[str], name: str) -> tuple[NewEmail, Errors]:
    """The message of a letter without what is wrong in it, and what that is. `own` are the addresses of the author.

    A draft has its relations already: what it answers is not looked up again.
    """
    errors: Errors = {}
    fields: dict[str, Any] = {each: _read_addresses(each, getattr(letter, each), errors) for each in ADDRESS_FIELDS}
    subject = visible_line(letter.subject).strip()
    if len(subject) > MAX_SUBJECT_CHARACTERS:
        errors["subject"] = f"A subject has at most {MAX_SUBJECT_CHARACTERS} characters."
    if letter.sender and letter.sender not in own:
        errors["sender"] = "This is not one of your verified addresses."
    elif letter.sender:
        fields["from"] = Correspondent.model_construct(address=letter.sender, name=name)
    if letter.draft is None:
        fields |= {"replyToEmailId": letter.reply, "forwardEmailId": letter.forward}
    fields |= {
        "subject": subject[:MAX_SUBJECT_CHARACTERS],
        "textBody": letter.text,
        "attachments": tuple(map(_attachment, files)),
    }
    return NewEmail.model_validate(fields), errors


def fields_by_address(letter: Letter) -> dict[str, str]:
    """The field of each address that is named, by the address in small letters; the first one of several."""
    found: dict[str, str] = {}
    for name in ADDRESS_FIELDS:
        for each in read_address_list(getattr(letter, name).encode(errors="replace")).addresses:
            found.setdefault(each.address.casefold(), name)
    return found


def written_addresses(correspondents: Iterable[tuple[str, str]]) -> str:
    """Names and addresses as the form has them: `Ann <ann@example.org>, bob@example.net`."""
    return ", ".join(_written(one_line(name), one_line(address)) for name, address in correspondents)


def _written(name: str, address: str) -> str:
    if not name:
        return address
    phrase = '"' + _SPECIAL.sub(r"\\\1", name) + '"' if _NOT_ATOMS.search(name) else name
    return f"{phrase} <{address}>"


def _read_addresses(field_name: str, typed: str, errors: Errors) -> tuple[Correspondent, ...]:
    octets = visible_line(typed).encode(errors="replace")
    listed = read_address_list(octets).addresses
    if len(octets) > LIST_LIMIT_OCTETS or len(listed) > MAX_FIELD_ADDRESSES:
        errors[field_name] = f"This field has at most {MAX_FIELD_ADDRESSES} addresses."
        return ()
    wrong = [one_line(each.address) or "<>" for each in listed if not is_address(each.address)]
    if wrong or (typed.strip(" ,;") and not listed):
        shown = ", ".join(wrong[:_SHOWN_ADDRESSES])
        errors[field_name] = f"Not an email address: {shown}." if shown else "There is no email address in this field."
    return tuple(
        Correspondent(address=each.address, name=visible_line(each.name)[:MAX_NAME_CHARACTERS])
        for each in listed
        if is_address(each.address)
    )


def _attachment(file: FormFile) -> NewAttachment:
    media_type = file.media_type.partition(";")[0].strip()
    fields = {"fileName": safe_name(file.name, "file"), "contentBase64": b64encode(file.content).decode()}
    try:
        return NewAttachment.model_validate({**fields, "contentType": media_type})
    except ValidationError:  # the browser's media type is none
        return NewAttachment.model_validate(fields)


def _identifier(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
