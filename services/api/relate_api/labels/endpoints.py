"""`/api/labels`: list, create, change, delete; which messages have a label. Labels are IMAP keywords."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query

from relate_api.access.dependencies import InjectedServices, Reader, Writer
from relate_api.emails.pages import find_page
from relate_api.emails.schemas import EmailPage, EmailSummary
from relate_api.labels.schemas import LabelAssignment, LabelDetails, LabelledEmails, LabelList, LabelRequest
from relate_mailstore.errors import LabelExists, TooManyLabels
from relate_mailstore.filter_types import LabelId
from relate_mailstore.types import FlagChange, MessageId

router = APIRouter(prefix="/api/labels", tags=["labels"])


@router.get("")
async def list_labels(principal: Reader, services: InjectedServices) -> LabelList:
    """List the labels by `sortOrder` and name, with the keywords that only mail clients have set."""
    labels = await services.labels.all(principal.account_id)
    return LabelList(items=[LabelDetails.of(label) for label in labels], next_cursor=None)


@router.post("", status_code=HTTPStatus.CREATED)
async def create_label(request: LabelRequest, principal: Writer, services: InjectedServices) -> LabelDetails:
    """Create a label. A name of letters, digits and `$_.+-` is its keyword; any other gets one like it."""
    try:
        return LabelDetails.of(await services.labels.add(principal.account_id, request.style()))
    except (LabelExists, TooManyLabels) as error:
        raise HTTPException(HTTPStatus.CONFLICT, describe(error)) from None


@router.put("/{label_id:uuid}")
async def update_label(
    label_id: UUID, request: LabelRequest, principal: Writer, services: InjectedServices
) -> LabelDetails:
    """Change the name, colour and order of a label. Its keyword, and so its messages, remain."""
    try:
        label = await services.labels.change(principal.account_id, LabelId(label_id), request.style())
    except (LabelExists, TooManyLabels) as error:
        raise HTTPException(HTTPStatus.CONFLICT, describe(error)) from None
    return LabelDetails.of(label)


@router.delete("/{label_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def delete_label(label_id: UUID, principal: Writer, services: InjectedServices) -> None:
    """Delete a label, and remove its keyword from all messages. Filters that assign it do nothing from then on."""
    await services.labels.remove(principal.account_id, LabelId(label_id))


@router.get("/{label_id:uuid}/emails")
async def list_labelled_emails(
    label_id: UUID, page: Annotated[LabelledEmails, Query()], principal: Reader, services: InjectedServices
) -> EmailPage:
    """List the messages that have a label, newest first."""
    label = await services.labels.find(principal.account_id, LabelId(label_id))
    return await find_page(principal, services, page.query(label.keyword), page)


@router.post("/emails/{email_id:uuid}")
async def add_label_to_email(
    email_id: UUID, assignment: LabelAssignment, principal: Writer, services: InjectedServices
) -> EmailSummary:
    """Give a message a label. Idempotent."""
    label = await services.labels.find(principal.account_id, assignment.id)
    change = FlagChange(add_keywords=(label.keyword,))
    return EmailSummary.of(await services.store.flag_message(principal.account_id, MessageId(email_id), change))


@router.delete("/emails/{email_id:uuid}/{label_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def remove_label_from_email(
    email_id: UUID, label_id: UUID, principal: Writer, services: InjectedServices
) -> None:
    """Take a label from a message. Idempotent."""
    label = await services.labels.find(principal.account_id, LabelId(label_id))
    change = FlagChange(remove_keywords=(label.keyword,))
    await services.store.flag_message(principal.account_id, MessageId(email_id), change)


def describe(error: LabelExists | TooManyLabels) -> str:
    """Why a label is refused."""
    return "a label has this name" if isinstance(error, LabelExists) else f"{error} exist: delete one first"
