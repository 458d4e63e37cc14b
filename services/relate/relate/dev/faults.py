"""Injects faults by rules of namespaces: the `FaultRules` of the API, and the `FaultInjection` of each service."""

from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from random import random

from relate.dev.fault_replies import FORMS, make_reply
from relate_api.developers.fault_rules import (
    MAX_RULES,
    FaultRule,
    FaultService,
    InvalidRule,
    RuleState,
    TooManyNamespaces,
)
from relate_api.developers.namespaces import namespace_of
from relate_imap.commands import Authenticate, Login
from relate_pop3.commands import Auth as Pop3Auth
from relate_pop3.commands import User
from relate_smtp.commands import Auth, Mail, Rcpt
from relate_wire.faults import Fault, SessionFaults
from relate_wire.ports import CommandLike
from relate_wire.sasl import SaslError, parse_initial, plain

MAX_NAMESPACES = 1_000  # that have rules
MAX_SESSION_NAMESPACES = 100  # of the recipients of one transaction


@dataclass(slots=True)
class _ActiveRule:
    rule: FaultRule
    injected: int = 0

    def applies(self, service: FaultService, verb: str, chance: Callable[[], float]) -> bool:
        """Whether it injects a fault into a command, which counts then. `FETCH` includes `UID FETCH`."""
        rule = self.rule
        if rule.service != service or verb.removeprefix("UID ") != rule.command.removeprefix("UID "):
            return False
        if rule.command.startswith("UID ") and verb != rule.command:
            return False
        if (rule.times is not None and self.injected >= rule.times) or chance() >= rule.probability:
            return False
        self.injected += 1
        return True


def check_rule(rule: FaultRule) -> None:
    """Raise InvalidRule for a rule that cannot apply, or has no effect."""
    form = FORMS[rule.service]
    if rule.command not in form.commands:
        raise InvalidRule(f"{rule.service} has no such command; it has {', '.join(sorted(form.commands))}")
    if rule.reply and not form.codes.fullmatch(rule.reply):
        raise InvalidRule(f"{rule.service} has no such reply for a fault; an example is {form.example}")
    if rule.reply and rule.disconnect is not None:
        raise InvalidRule("a fault is a reply or the end of the connection, not both")
    if not (rule.reply or rule.disconnect or rule.delay_seconds):
        raise InvalidRule("a fault is a delay, a reply or the end of the connection")


class Faults:
    """The rules of all namespaces. `chance` returns numbers from 0 to 1, exclusive."""

    def __init__(self, chance: Callable[[], float] = random) -> None:
        self._chance = chance
        self._rules: dict[str, list[_ActiveRule]] = {}

    def of(self, namespace: str) -> Sequence[RuleState]:
        """See `FaultRules`."""
        return [RuleState(each.rule, each.injected) for each in self._rules.get(namespace, ())]

    def replace(self, namespace: str, rules: Sequence[FaultRule]) -> Sequence[RuleState]:
        """See `FaultRules`."""
        for rule in rules:
            check_rule(rule)
        if len(rules) > MAX_RULES:
            raise InvalidRule(f"a namespace has at most {MAX_RULES} rules")
        if not rules:
            self._rules.pop(namespace, None)
        elif namespace not in self._rules and len(self._rules) >= MAX_NAMESPACES:
            raise TooManyNamespaces
        else:
            self._rules[namespace] = [_ActiveRule(rule) for rule in rules]
        return self.of(namespace)

    def service(self, name: FaultService) -> "ServiceFaults":
        """The faults of one service."""
        return ServiceFaults(self, name)

    def choose(self, service: FaultService, command: CommandLike, namespaces: Iterator[str]) -> Fault | None:
        """The fault of the first rule that applies, of those of the namespaces in their order."""
        for namespace in namespaces:
            for active in self._rules.get(namespace, ()):
                if active.applies(service, command.verb, self._chance):
                    return _fault(active.rule, command)
        return None


@dataclass(frozen=True, slots=True)
class ServiceFaults:
    """The faults of one service: a `FaultInjection`."""

    faults: Faults
    name: FaultService

    def session(self) -> SessionFaults:
        """See `FaultInjection`."""
        return _Session(self.faults, self.name)


class _Session:
    """The faults of one session, which learns its namespaces from the commands."""

    def __init__(self, faults: Faults, service: FaultService) -> None:
        self._faults = faults
        self._service = service
        self._login = ""
        self._transaction: dict[str, None] = {}  # of sender and recipients, in order

    def choose(self, command: CommandLike) -> Fault | None:
        """See `SessionFaults`."""
        return self._faults.choose(self._service, command, self._namespaces(command))

    def note_login(self, login: str) -> None:
        """Apply the rules of the login's namespace from now on."""
        self._login = namespace_of(login)

    def _namespaces(self, command: CommandLike) -> Iterator[str]:
        """Those of a command, each once: of RCPT its recipient's, of other commands all of the transaction."""
        concerned: Sequence[str] = ()
        match command:
            case Mail():
                self._transaction = {namespace_of(command.sender): None}
            case Rcpt():
                concerned = (namespace_of(command.recipient),)
                if len(self._transaction) < MAX_SESSION_NAMESPACES:
                    self._transaction[concerned[0]] = None
            case Auth() | Pop3Auth() | Authenticate() | Login() | User():
                self.note_login(_login_of(command))
                _logging_in.set(self)
        yield from dict.fromkeys(("", self._login, *(concerned or self._transaction)))


# The session whose login is in progress in this task, because only the authenticator learns what follows a challenge.
_logging_in: ContextVar[_Session | None] = ContextVar("logging_in", default=None)


def note_login(login: str) -> None:
    """Tell the session of this task, if a mail client's login is in progress there, who logs in."""
    session = _logging_in.get()
    if session is not None:
        session.note_login(login)


def _login_of(command: Auth | Pop3Auth | Authenticate | Login | User) -> str:
    """The login of a command; empty if the client sends it after a challenge: then `note_login` is called."""
    if isinstance(command, Login | User):
        return command.login
    if command.initial is None or command.mechanism.upper() != "PLAIN":
        return ""
    exchange = plain()
    next(exchange)
    try:
        exchange.send(parse_initial(command.initial.reveal()))
    except StopIteration as finished:
        return str(finished.value.authorize_as or finished.value.login)
    except SaslError:
        return ""
    return ""


def _fault(rule: FaultRule, command: CommandLike) -> Fault:
    return Fault(
        rule.delay_seconds,
        make_reply(rule.service, rule.reply, command) if rule.reply else None,
        rule.disconnect,
    )
