"""`/settings/filters/new` and `/settings/filters/{id}`: a filter in a form, and what it would do before it is saved."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Form, HTTPException, Request, Response
from pydantic import BaseModel, ValidationError

from relate_api.access.dependencies import InjectedServices, Services
from relate_api.emails.criteria import parse_octets
from relate_api.emails.schemas import EmailSummary
from relate_api.filters.resolving import resolve_rule
from relate_api.filters.schemas import MAX_PRIORITIES, MAX_TESTED_MESSAGES, FilterRequest
from relate_api.page.notices import Done, lead_to
from relate_api.page.routes import PageRoute
from relate_api.page.shown import labels_of_people
from relate_api.page.views.settings.filter_words import sentence_of_trial
from relate_api.page.views.settings.sections import FILTERS, Refused, as_sentence, first_field, show_section
from relate_api.page.visitors import EditingVisitor, Visitor
from relate_mailstore.errors import MessageNotFound, TooManyFilters
from relate_mailstore.filter_rules import STEP_PRIORITIES
from relate_mailstore.filter_types import Actions, FilterId, FilterRule, Label
from relate_mailstore.types import AccountId

SHOWN_MESSAGES = 20
"""Of those that a filter finds, when it is tried."""

NEW = f"{FILTERS}/new"
_ONE = FILTERS + "/{filter_id:uuid}"

_PROBLEMS: Mapping[str, str] = {
    "name": "A filter needs a name of at most 200 characters.",
    "larger": "The size is a number of octets such as 500, 20K or 1M.",
    "assignLabelId": "There is no such label: choose another.",
}
_TEXT_PROBLEM = "A text has at most 200 characters, in one line."
_HAS = {"yes": True, "no": False}
_UNITS = (("M", 1_000_000), ("K", 1_000))

router = APIRouter(route_class=PageRoute)


class FilterForm(BaseModel):
    """The fields as they were typed; a box that is not checked is missing. `do` is the button."""

    do: Literal["save", "try"] = "save"

    name: str = ""
    is_enabled: bool = False
    sender: str = ""
    recipient: str = ""
    subject: str = ""
    body: str = ""
    attachments: str = ""
    larger: str = ""
    mark_read: bool = False
    label: str = ""
    mailbox: str = ""
    delete: bool = False
    stop: bool = False

    @classmethod
    def of(cls, rule: FilterRule) -> Self:
        """The form of a stored filter."""
        conditions, actions = rule.conditions, rule.actions
        return cls(
            name=rule.name,
            is_enabled=rule.is_enabled,
            sender=conditions.from_address,
            recipient=conditions.to_address,
            subject=conditions.subject,
            body=conditions.body,
            attachments=next((word for word, has in _HAS.items() if has is conditions.has_attachments), ""),
            larger=_typed_octets(conditions.larger),
            mark_read=actions.mark_read,
            label=str(actions.label_id or ""),
            mailbox=actions.mailbox,
            delete=actions.delete,
            stop=actions.stop,
        )

    def rule(self, priority: int) -> FilterRule:
        """The filter. Raises Refused."""
        try:
            octets = parse_octets(self.larger.strip()) if self.larger.strip() else None
            return FilterRequest.model_validate(self._fields(priority, octets)).rule()
        except ValidationError as refused:
            raise Refused(_PROBLEMS.get(first_field(refused), _TEXT_PROBLEM)) from None
        except ValueError:
            raise Refused(_PROBLEMS["larger"]) from None

    def _fields(self, priority: int, octets: int | None) -> dict[str, Any]:
        return {
            "name": self.name.strip(),
            "isEnabled": self.is_enabled,
            "priority": priority,
            "fromAddressContains": self.sender.strip(),
            "toAddressContains": self.recipient.strip(),
            "subjectContains": self.subject.strip(),
            "bodyContains": self.body.strip(),
            "hasAttachments": _HAS.get(self.attachments),
            "larger": octets,
            "markAsRead": self.mark_read,
            "assignLabelId": self.label or None,
            "moveToMailbox": self.mailbox,
            "delete": self.delete,
            "stop": self.stop,
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """What a filter finds among stored mail: the newest of it, and a sentence."""

    sentence: str
    mails: Sequence[EmailSummary]
    hidden: int


@router.get(NEW)
async def show_new_filter(request: Request, visitor: EditingVisitor, services: InjectedServices) -> Response:
    """Show the form of a new filter."""
    return await _show(request, visitor, services, FilterForm(is_enabled=True))


@router.post(NEW)
async def create_filter(
    request: Request,
    visitor: EditingVisitor,
    services: InjectedServices,
    form: Annotated[FilterForm, Form()],
) -> Response:
    """Create a filter, which acts after all others; or show what it would do."""
    filters = await services.filters.all(visitor.principal.account_id)
    priority = min(filters[-1].rule.priority + STEP_PRIORITIES, MAX_PRIORITIES) if filters else STEP_PRIORITIES
    return await _handle(request, visitor, services, form, priority)


@router.get(_ONE)
async def show_filter(
    request: Request, filter_id: UUID, visitor: EditingVisitor, services: InjectedServices
) -> Response:
    """Show the form of a filter."""
    stored = await services.filters.find(visitor.principal.account_id, FilterId(filter_id))
    return await _show(request, visitor, services, FilterForm.of(stored.rule), filter_id=filter_id)


@router.post(_ONE)
async def change_filter(
    request: Request,
    filter_id: UUID,
    visitor: EditingVisitor,
    services: InjectedServices,
    form: Annotated[FilterForm, Form()],
) -> Response:
    """Replace a filter, which keeps its place; or show what it would do."""
    stored = await services.filters.find(visitor.principal.account_id, FilterId(filter_id))
    return await _handle(request, visitor, services, form, stored.rule.priority, filter_id)


async def _handle(  # noqa: PLR0917
    request: Request,
    visitor: Visitor,
    services: Services,
    form: FilterForm,
    priority: int,
    filter_id: UUID | None = None,
) -> Response:
    account_id = visitor.principal.account_id
    try:
        if form.do == "try":
            named = form.model_copy(update={"name": form.name.strip() or "new"})
            trial = await _try(account_id, services, named.rule(priority))
            return await _show(request, visitor, services, form, filter_id=filter_id, trial=trial)
        await _save(account_id, services, form.rule(priority), filter_id)
    except Refused as refused:
        return await _show(request, visitor, services, form, str(refused), filter_id=filter_id)
    return lead_to(FILTERS, Done.FILTER_SAVED)


async def _save(account_id: AccountId, services: Services, rule: FilterRule, filter_id: UUID | None) -> None:
    """Raises Refused, FilterNotFound if it was deleted meanwhile."""
    if rule.actions == Actions():
        raise Refused("Choose what the filter does.")
    try:
        resolved = await resolve_rule(account_id, services, rule)
        if filter_id is None:
            await services.filters.add(account_id, resolved)
        else:
            await services.filters.change(account_id, FilterId(filter_id), resolved)
    except HTTPException as error:
        raise Refused(as_sentence(error.detail)) from None
    except TooManyFilters as error:
        raise Refused(f"{error} exist: delete one first.") from None


async def _try(account_id: AccountId, services: Services, rule: FilterRule) -> Trial:
    examined, found = await services.filters.test(account_id, rule.conditions, MAX_TESTED_MESSAGES)
    mails = []
    for message_id in found[:SHOWN_MESSAGES]:
        with suppress(MessageNotFound):  # deleted since
            mails.append(EmailSummary.of(await services.store.message(account_id, message_id)))
    labels = await services.labels.all(account_id)
    return Trial(sentence_of_trial(rule, labels, examined, len(found)), mails, len(found) - len(mails))


async def _show(
    request: Request,
    visitor: Visitor,
    services: Services,
    form: FilterForm,
    error: str = "",
    *,
    filter_id: UUID | None = None,
    trial: Trial | None = None,
) -> Response:
    account_id = visitor.principal.account_id
    await services.store.provision(account_id)
    labels = labels_of_people(await services.labels.all(account_id))
    return show_section(
        request,
        visitor,
        FILTERS,
        "filter.html",
        error,
        form=form,
        filter_id=filter_id,
        trial=trial,
        labels=labels,
        knows_label=_knows(form.label, labels),
        mailboxes=[mailbox.name for mailbox in await services.store.mailboxes(account_id)],
    )


def _knows(label: str, labels: Sequence[Label]) -> bool:
    return not label or label in {str(each.id) for each in labels}


def _typed_octets(octets: int | None) -> str:
    """A size as it is typed; exact."""
    if octets is None:
        return ""
    return next((f"{octets // size}{unit}" for unit, size in _UNITS if octets and octets % size == 0), str(octets))
