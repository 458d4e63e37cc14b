"""JSON schemas of the developers' mode."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StrictInt

from relate_api.developers.fault_rules import (
    MAX_DELAY_SECONDS,
    MAX_RULES,
    FaultRule,
    FaultService,
    RuleState,
)
from relate_api.emails.schemas import EmailDetail
from relate_api.schemas import RequestModel, ResponseModel
from relate_wire.faults import Disconnect

MAX_ADDRESS_CHARACTERS = 320
MAX_SUBJECT_CHARACTERS = 1_000
MAX_TIMEOUT_SECONDS = 120.0  # proxies end idle requests soon after that
DEFAULT_TIMEOUT_SECONDS = 10.0
MAX_RELEASED_RECIPIENTS = 10

_EXAMPLE_ID = "019f1e2d-3c4b-7a59-8867-1f2e3d4c5b6a"
Address = Annotated[str, Field(min_length=1, max_length=MAX_ADDRESS_CHARACTERS)]


class WaitQuery(RequestModel):
    """The message that is waited for: the first in the INBOX that matches, also one that is there already."""

    to: Annotated[
        Address | None, Field(description="The mailbox; by default the caller's. It is moved into the namespace.")
    ] = None
    subject: Annotated[
        str, Field(max_length=MAX_SUBJECT_CHARACTERS, description="A part of the subject, without regard to case.")
    ] = ""
    after: Annotated[UUID | None, Field(description="The id of a message: only later ones are meant.")] = None
    timeout: Annotated[
        float, Field(ge=0, le=MAX_TIMEOUT_SECONDS, allow_inf_nan=False, description="Seconds; then the answer is 404.")
    ] = DEFAULT_TIMEOUT_SECONDS


class NoQuery(RequestModel):
    """No parameters."""


class ArrivedEmail(EmailDetail):
    """A message with its text, and the links and codes in it."""

    model_config = ConfigDict(json_schema_extra={})

    links: list[str]
    codes: list[str]

    @classmethod
    def with_found(cls, detail: EmailDetail, links: list[str], codes: list[str]) -> Self:
        """Add what was found in a message to it."""
        return cls.model_construct(**dict(detail), links=links, codes=codes)


class FaultRuleBody(RequestModel):
    """A rule: which commands, how many of them, and what happens with these.

    A delay may precede a reply or the end of the connection.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"service": "smtp", "command": "RCPT", "probability": 0.3, "reply": "451"}]}
    )

    service: FaultService
    command: Annotated[str, Field(pattern=r"^[A-Z]+( [A-Z]+)?$", max_length=20, examples=["RCPT", "FETCH"])]
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    times: Annotated[
        StrictInt | None, Field(ge=1, le=1_000_000, description="Only so often; null without a limit.")
    ] = None
    delay_seconds: Annotated[float, Field(ge=0, le=MAX_DELAY_SECONDS)] = 0.0
    reply: Annotated[
        str, Field(pattern=r"^([45][0-9]{2}|NO|BAD|-ERR)?$", description="In place of the command; empty for none.")
    ] = ""
    disconnect: Annotated[
        Disconnect | None, Field(description="Abort the connection before the command, or after it without a reply.")
    ] = None

    def rule(self) -> FaultRule:
        """Convert to a rule of fault injection."""
        return FaultRule(**dict(self))


class FaultRulesBody(RequestModel):
    """The rules of the caller's namespace, the first that matches counts."""

    rules: Annotated[list[FaultRuleBody], Field(max_length=MAX_RULES)]


class FaultRuleDetails(ResponseModel):
    """A rule, and how many faults it has injected."""

    service: FaultService
    command: str
    probability: float
    times: int | None
    delay_seconds: float
    reply: str
    disconnect: Disconnect | None
    injected: int

    @classmethod
    def of(cls, state: RuleState) -> Self:
        """The details of a rule."""
        rule = state.rule
        return cls(
            service=rule.service,
            command=rule.command,
            probability=rule.probability,
            times=rule.times,
            delay_seconds=rule.delay_seconds,
            reply=rule.reply,
            disconnect=rule.disconnect,
            injected=state.injected,
        )


class FaultRuleList(ResponseModel):
    """The rules of the caller's namespace."""

    rules: list[FaultRuleDetails]


class ReleaseRequest(RequestModel):
    """The message to send, and its recipients on other servers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"mailbox": "alice@example.test", "emailId": _EXAMPLE_ID, "to": ["me@example.org"]}]
        }
    )

    mailbox: Address
    email_id: UUID
    to: Annotated[list[Address], Field(min_length=1, max_length=MAX_RELEASED_RECIPIENTS)]
    sender: Annotated[
        Annotated[str, Field(max_length=MAX_ADDRESS_CHARACTERS)],
        Field(description="The reverse-path, which gets delivery reports; by default none."),
    ] = ""


class ReleasedEmail(ResponseModel):
    """How many recipients the message was queued for."""

    queued: Annotated[int, Field(examples=[1])]
