"""`POST /compose`: a message is sent, saved as a draft, or discarded. What is refused is shown in the form again."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from uuid import UUID

import structlog
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from relate_api.access.dependencies import InjectedServices
from relate_api.compose.exchange import require_address
from relate_api.compose.older import Older, read_older
from relate_api.compose.once import KeyReused
from relate_api.compose.refusals import tell_refused
from relate_api.compose.schemas import NewEmail, RecipientState, SentEmail
from relate_api.compose.sending import Caller, repeat_answer, send
from relate_api.compose.stored import locate_draft, store_draft
from relate_api.compose.uploads import FORM, Upload, received
from relate_api.compose.writing import write
from relate_api.http.errors import RecipientsRefused, response_status, status_of
from relate_api.http.form_data import FormData, FormFile, MalformedForm, parse_form_data
from relate_api.mailboxes.moving import move_messages
from relate_api.page.notices import Done, lead_to
from relate_api.page.routes import PageRoute
from relate_api.page.sessions.csrf import FIELD, is_secret
from relate_api.page.views.compose.form import own_addresses, show_form
from relate_api.page.views.compose.letter import (
    ADDRESS_FIELDS,
    MAX_TYPED_CHARACTERS,
    Errors,
    Letter,
    fields_by_address,
    new_key,
    read_letter,
)
from relate_api.page.visitors import UploadingVisitor, Visitor
from relate_mailstore.errors import MessageNotFound, OverQuota
from relate_mailstore.mailbox_names import TRASH
from relate_mailstore.types import MessageId

COMMAND = "POST /compose"

GONE = (
    "The draft, or the message that this one answers, was changed or deleted elsewhere. What you have typed is here:"
    " now it is a message of its own, without the files of the draft."
)
SENT_BEFORE = "A message was sent from this form before. Send again, if this text is another message."
NO_ROOM = "Your mailbox has no room for the draft."
NO_RECIPIENT = "Name a recipient here, in Cc or in Bcc."
TOO_LONG = f"The fields have more than {MAX_TYPED_CHARACTERS:,} characters. Go back, and attach the text as a file."
FILES_KEPT = "The files are kept in a draft."
MAX_TOLD_ADDRESSES = 20
"""Refused ones, at each field."""
OTHER_SESSION = (
    "You have signed in again since this form was shown. Check it, and send it once more; choose its files again."
)
FILES_LOST = "Choose the files again: they are not kept."

log = structlog.get_logger(__name__)


class Action(StrEnum):
    """The buttons of the form."""

    SEND = "send"
    SAVE = "save"
    DISCARD = "discard"


router = APIRouter(route_class=PageRoute)


@router.post("/compose")
async def take_letter(request: Request, visitor: UploadingVisitor, services: InjectedServices) -> Response:
    """Send a message, save it as a draft, or discard the draft."""
    require_address(visitor.principal)
    async with received(request, services, FORM) as upload:
        form = await _parse(request, upload)
        letter = Letter.of(form)
        if letter.is_too_long:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LONG)
        if not is_secret(form.text(FIELD), visitor.csrf):  # nothing is done, not even files are kept
            response = await show_form(request, visitor, services, letter, errors={"": OTHER_SESSION})
            response.status_code = HTTPStatus.FORBIDDEN
            return response
        caller = Caller(request, Response(), services, visitor.principal, letter.key)
        action = form.text("action")
        if action not in set(Action):
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY)
        if action == Action.DISCARD:
            return await _discard(caller, letter)
        files = [file for file in form.files if file.name or file.content]  # a field without files has an empty one
        del form
        return await _Taking(caller, visitor, letter, files, Action(action)).take()


@dataclass(slots=True)
class _Taking:
    """A form that is sent or saved."""

    caller: Caller
    visitor: Visitor
    letter: Letter
    files: Sequence[FormFile]
    action: Action

    async def take(self) -> Response:
        """Do it, or show the form again."""
        own = await own_addresses(self.caller.services, self.caller.principal)
        read = partial(read_letter, self.letter, self.files, own, self.caller.principal.user.display_name)
        email, errors = await self.caller.offload(self._octets, read)
        if self.action is Action.SEND and not (email.to or email.cc or email.bcc):
            errors.setdefault(ADDRESS_FIELDS[0], NO_RECIPIENT)
        if errors:
            return await self._show(email, errors, HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            return await (self._send(email) if self.action is Action.SEND else self._save(email))
        except Exception as error:
            fields = {}
            if isinstance(error, RecipientsRefused):
                fields = await self.caller.offload(self._octets, partial(fields_by_address, self.letter))
            found = _errors_of(error, self.letter, fields, has_files=bool(self.files))
            if found is None:
                raise
            if self.action is Action.SEND:
                tell_refused(self.caller.request, self.caller.principal.user, COMMAND, error)
            if isinstance(error, MessageNotFound):
                self.letter = replace(self.letter, reply=None, forward=None, draft=None)
            elif isinstance(error, KeyReused):
                self.letter = replace(self.letter, key=new_key())
            status = response_status(error)
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status is not HTTPStatus.INSUFFICIENT_STORAGE:
                log.error("request failed", status=int(status), exc_info=error)
            return await self._show(email, found, status)

    @property
    def _octets(self) -> int:
        """About the size of the form."""
        return sum(map(len, self.letter.texts)) + sum(len(file.content) for file in self.files)

    async def _send(self, email: NewEmail) -> Response:
        caller = self.caller
        fingerprint = partial(self.letter.fingerprint, self.files)
        # A second click waits for the first, and is answered as that was.
        async with caller.keyed(await caller.offload(self._octets, fingerprint), waits=True) as key:
            if key.answered is not None:
                return _lead_on(repeat_answer(key.answered))
            reception = caller.reception()
            async with self._older() as older:
                written = await write(caller, email, reception, older)
                return _lead_on(await send(caller, written, reception, key))

    async def _save(self, email: NewEmail) -> Response:
        return lead_to(f"/compose?draft={await self._store(email)}", Done.SAVED)

    async def _store(self, email: NewEmail) -> MessageId:
        services, draft = self.caller.services, self.letter.draft
        replaced = (
            None if draft is None else await locate_draft(services, self.caller.principal.account_id, MessageId(draft))
        )
        async with self._older() as older:
            written = await write(self.caller, email, self.caller.reception(), older)
            return await store_draft(self.caller, written, replaced)

    def _older(self) -> AbstractAsyncContextManager[Older]:
        draft = self.letter.draft
        return read_older(self.caller, None if draft is None else MessageId(draft), self.letter.removed)

    async def _show(self, email: NewEmail, errors: Errors, status: HTTPStatus) -> Response:
        """The form with its errors. Browsers forget files, which are kept in a draft, if that is possible."""
        kept = await self._keep(email) if self.files else None
        if kept is not None:
            self.letter = replace(self.letter, draft=UUID(str(kept)), reply=None, forward=None, removed=frozenset())
        elif self.files:
            errors["files"] = " ".join(filter(None, (errors.get("files"), FILES_LOST)))
        hint = FILES_KEPT if kept is not None else ""
        request, services = self.caller.request, self.caller.services
        response = await show_form(
            request, self.visitor, services, self.letter, errors=errors, hint=hint, saving=self.action is Action.SAVE
        )
        response.status_code = status
        return response

    async def _keep(self, email: NewEmail) -> MessageId | None:
        """Store what the form has as a draft; None if that is refused, too."""
        try:
            return await self._store(email)
        except Exception as error:
            if status_of(error) is None and not isinstance(error, HTTPException):
                raise
            return None


async def _parse(request: Request, upload: Upload) -> FormData:
    """Raises HTTPException with 422 for what is no form."""
    content_type, body = request.headers["content-type"], upload.take()
    try:
        return await upload.offload(len(body), partial(parse_form_data, body, content_type))
    except MalformedForm:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY) from None


async def _discard(caller: Caller, letter: Letter) -> Response:
    """Move the draft to the trash, if it was saved; delete it in an account without a trash."""
    if letter.draft is None:
        return RedirectResponse("/", HTTPStatus.SEE_OTHER)
    services, account_id, draft = caller.services, caller.principal.account_id, MessageId(letter.draft)
    with suppress(MessageNotFound):
        await locate_draft(services, account_id, draft)
        mailboxes = await services.store.mailboxes(account_id)
        trash = next((mailbox for mailbox in mailboxes if mailbox.special_use == TRASH), None)
        if trash is None:
            await services.store.delete_message(account_id, draft)
        else:
            await move_messages(services.store, account_id, [draft], trash, [each.name for each in mailboxes])
    return lead_to("/", Done.DISCARDED)


def _lead_on(sent: SentEmail) -> Response:
    is_held = any(each.state is RecipientState.HELD for each in sent.recipients)
    return lead_to("/", Done.HELD if is_held else Done.SENT, sent.id)


def _errors_of(error: Exception, letter: Letter, fields: Mapping[str, str], *, has_files: bool) -> Errors | None:
    """What the form says of an error; None for one that is no refusal. `fields` are those of refused addresses."""
    if isinstance(error, RecipientsRefused):
        sentences = defaultdict(list)
        for each in error.recipients:
            name = fields.get(each.address.casefold(), ADDRESS_FIELDS[0])
            sentences[name].append(f"{each.address}: {each.reason}.")
        return {name: _some_of(told) for name, told in sentences.items()}
    if isinstance(error, MessageNotFound):
        return {"": GONE}
    if isinstance(error, KeyReused):
        return {"": SENT_BEFORE}
    if isinstance(error, OverQuota):
        return {"": NO_ROOM}
    if isinstance(error, HTTPException):
        sentence = f"{error.detail[:1].upper()}{error.detail[1:]}."
        is_large = error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return {("files" if has_files or letter.draft else "text") if is_large else "": sentence}
    if status_of(error) is not None:
        return {"": "The server is not available at the moment: nothing was sent or saved. Try again."}
    return None


def _some_of(sentences: Sequence[str]) -> str:
    more = len(sentences) - MAX_TOLD_ADDRESSES
    return " ".join(sentences[:MAX_TOLD_ADDRESSES]) + (f" So are {more} more." if more > 0 else "")
