"""What a rule names has to exist when it is stored: its mailbox and its label."""

from dataclasses import replace
from http import HTTPStatus

from fastapi import HTTPException

from relate_api.access.dependencies import Services
from relate_mailstore.errors import LabelNotFound, MailboxNotFound
from relate_mailstore.filter_types import FilterRule
from relate_mailstore.types import AccountId


async def resolve_rule(account_id: AccountId, services: Services, rule: FilterRule) -> FilterRule:
    """The rule with its mailbox as that is spelled, and its label stored. Raises HTTPException if one is missing."""
    actions = rule.actions
    if actions.mailbox:
        try:
            await services.store.provision(account_id)
            mailbox = await services.store.mailbox(account_id, actions.mailbox)
        except MailboxNotFound:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no mailbox has this name: create it first") from None
        rule = replace(rule, actions=replace(actions, mailbox=mailbox.name))
    if actions.label_id is not None:
        try:
            label = await services.labels.find(account_id, actions.label_id)
        except LabelNotFound:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no label has this id") from None
        if not label.is_stored:  # a keyword: a filter has to remember its spelling
            await services.labels.change(account_id, label.id, label.style)
    return rule
