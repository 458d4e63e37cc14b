"""What a filter asks and does, in words. Pure."""

from collections.abc import Collection, Iterator

from relate_api.page.shown import file_size, mailbox_label, one_line
from relate_mailstore.filter_types import Actions, Conditions, FilterRule, Label, LabelId


def conditions_in_words(conditions: Conditions) -> str:
    """All conditions: `the sender contains “ann”, and it has an attachment`. `it` is the mail."""
    return _listed(_conditions(conditions)) or "it is any mail"


def actions_in_words(actions: Actions, labels: Collection[Label]) -> str:
    """All actions: `mark it as read and move it to “Archive”`."""
    return _listed(_actions(actions, labels)) or "do nothing"


def obstacle(rule: FilterRule, labels: Collection[Label], mailboxes: Collection[str]) -> str:
    """Why a filter does nothing, as a sentence; empty if it acts."""
    actions = rule.actions
    if actions.label_id is not None and not any(each.is_stored and each.id == actions.label_id for each in labels):
        return "This filter does nothing, because its label was deleted."
    if actions.mailbox and not actions.delete and actions.mailbox not in mailboxes:
        return "This filter does nothing, because there is no mailbox with this name."
    return ""


def sentence_of_trial(rule: FilterRule, labels: Collection[Label], examined: int, matching: int) -> str:
    """What a filter would do with mail like that which it was tried on."""
    if not examined:
        return "There is no mail yet to try it on."
    if not matching:
        return (
            "The only message does not match." if examined == 1 else f"None of the newest {examined} messages matches."
        )
    verb = "matches" if matching == 1 else "match"
    found = "The only message matches." if examined == 1 else f"{matching} of the newest {examined} messages {verb}."
    done = actions_in_words(rule.actions, labels)
    if not rule.is_enabled:
        return f"{found} The filter is off: if it were on, it would {done}, whenever such mail arrives."
    return f"{found} Whenever such mail arrives, the filter would {done}."


def _conditions(conditions: Conditions) -> Iterator[str]:
    texts = (
        ("the sender’s address", conditions.from_address),
        ("a recipient’s address", conditions.to_address),
        ("the subject", conditions.subject),
        ("the text", conditions.body),
    )
    yield from (f"{place} contains {_quoted(text)}" for place, text in texts if text)
    if conditions.has_attachments is not None:
        yield f"it has {'an' if conditions.has_attachments else 'no'} attachment"
    if conditions.larger is not None:
        yield f"it is larger than {file_size(conditions.larger)}"


def _actions(actions: Actions, labels: Collection[Label]) -> Iterator[str]:
    if actions.mark_read:
        yield "mark it as read"
    if actions.label_id is not None:
        yield f"give it the label {_quoted(_name_of(actions.label_id, labels) or 'deleted')}"
    if actions.delete:
        yield "put it into the trash"
    elif actions.mailbox:
        yield f"move it to {_quoted(mailbox_label(actions.mailbox))}"
    if actions.stop:
        yield "apply no later filter"


def _name_of(label_id: LabelId, labels: Collection[Label]) -> str | None:
    return next((label.style.name for label in labels if label.id == label_id), None)


def _quoted(text: str) -> str:
    return f"“{one_line(text)}”"


def _listed(parts: Iterator[str]) -> str:
    *first, last = [*parts] or [""]
    return f"{', '.join(first)} and {last}" if first else last
