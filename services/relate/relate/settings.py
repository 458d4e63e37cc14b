"""All settings of the embedded edition, read once: what is wrong in any section is said before anything starts."""

import os
from dataclasses import dataclass, field, replace

from relate import default_database
from relate.default_database import Found
from relate.printing import note
from relate_api.config import ApiSettings
from relate_config import SectionLike, check_names, is_set, load
from relate_imap.config import ImapSettings
from relate_mailstore.sql.driver.engine import DatabaseSettings
from relate_pop3.config import Pop3Settings
from relate_service.console import log_to_console
from relate_service.resources import SHARED_SECTIONS, ResourceSettings
from relate_service.workers import WORKER_VARIABLE
from relate_smtp.config import SmtpSettings

SECTIONS: tuple[type[SectionLike], ...] = (*SHARED_SECTIONS, SmtpSettings, Pop3Settings, ImapSettings, ApiSettings)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every section of the environment. Raises ConfigurationError when made.

    `found` is the database that was found because no setting names one.
    """

    shared: ResourceSettings = field(default_factory=ResourceSettings)
    smtp: SmtpSettings = field(default_factory=lambda: load(SmtpSettings))
    pop3: Pop3Settings = field(default_factory=lambda: load(Pop3Settings))
    imap: ImapSettings = field(default_factory=lambda: load(ImapSettings))
    api: ApiSettings = field(default_factory=lambda: load(ApiSettings))
    found: Found | None = None


def for_server(*, verbose: bool = False) -> Settings:
    """The settings of `relate serve`; `verbose` prints every span on the console. Raises ConfigurationError."""
    settings = _read(serving=True)
    if not verbose:
        return settings
    telemetry = settings.shared.telemetry.model_copy(update={"verbose": True})
    return replace(settings, shared=replace(settings.shared, telemetry=telemetry))


def for_command() -> Settings:
    """The settings of a command that works on the database; notes which one it found. Raises ConfigurationError."""
    settings = _read(serving=False)
    if settings.found is not None:
        note(f"the database is {settings.found.path} ({settings.found.reason})")
    return settings


def _read(*, serving: bool) -> Settings:
    log_to_console()
    suspects = check_names(SECTIONS, os.environ)
    if suspects and WORKER_VARIABLE not in os.environ:  # its parent has said so
        note(f"not used: {', '.join(suspects)}; a setting has two underscores between section and name")
    if is_set(DatabaseSettings, "default_connection", os.environ):
        return Settings()
    found = default_database.find(serving=serving)
    return Settings(shared=ResourceSettings(database=DatabaseSettings(default_connection=found.url)), found=found)
