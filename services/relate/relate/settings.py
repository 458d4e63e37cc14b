"""All settings of the embedded edition, validated before anything starts."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from relate import database_discovery
from relate.database_discovery import DiscoveredDatabase
from relate.dev.settings import DevSettings
from relate.output import print_note
from relate_api.config import ApiSettings, CorsSettings, OidcSettings, PageSettings
from relate_api.installation import MtaStsSettings
from relate_config import SectionLike, check_names, is_set, load
from relate_imap.config import ImapSettings
from relate_mailstore.sql.driver.engine import DatabaseSettings
from relate_pop3.config import Pop3Settings
from relate_service.config import JaegerSettings
from relate_service.console import log_to_console
from relate_service.resources import SHARED_SECTIONS, ResourceSettings
from relate_service.workers import WORKER_VARIABLE
from relate_submission.config import SmtpSettings
from relate_wire.config import ServiceSettings

SECTIONS: tuple[type[SectionLike], ...] = (
    *SHARED_SECTIONS,
    SmtpSettings,
    Pop3Settings,
    ImapSettings,
    ApiSettings,
    MtaStsSettings,
    OidcSettings,
    CorsSettings,
    PageSettings,
    JaegerSettings,
    DevSettings,
)


S = TypeVar("S", bound=ServiceSettings)


@dataclass(frozen=True, slots=True)
class Settings:
    """All sections of the environment. Raises ConfigurationError.

    `discovered` is set if no setting names a database.
    """

    shared: ResourceSettings = field(default_factory=ResourceSettings)
    smtp: SmtpSettings = field(default_factory=lambda: load(SmtpSettings))
    pop3: Pop3Settings = field(default_factory=lambda: load(Pop3Settings))
    imap: ImapSettings = field(default_factory=lambda: load(ImapSettings))
    api: ApiSettings = field(default_factory=lambda: load(ApiSettings))
    mta_sts: MtaStsSettings = field(default_factory=lambda: load(MtaStsSettings))
    oidc: OidcSettings = field(default_factory=lambda: load(OidcSettings))
    cors: CorsSettings = field(default_factory=lambda: load(CorsSettings))
    page: PageSettings = field(default_factory=lambda: load(PageSettings))
    jaeger: JaegerSettings = field(default_factory=lambda: load(JaegerSettings))
    dev: DevSettings = field(default_factory=lambda: load(DevSettings))
    discovered: DiscoveredDatabase | None = None


def load_server_settings(*, verbose: bool = False) -> Settings:
    """Load the settings of `relate serve`; `verbose` prints every span on the console. Raises ConfigurationError."""
    settings = _load(serving=True)
    if not verbose:
        return settings
    telemetry = settings.shared.telemetry.model_copy(update={"verbose": True})
    return replace(settings, shared=replace(settings.shared, telemetry=telemetry))


def load_dev_settings(folder: Path) -> Settings:
    """Load the settings of `relate dev`: database and certificates are in `folder`, unless settings name others.

    Raises ConfigurationError.
    """
    _check()
    settings = Settings()
    if not is_set(DatabaseSettings, "default_connection", os.environ):
        database = DatabaseSettings(default_connection=f"sqlite:///{folder / database_discovery.FILE_NAME}")
        settings = replace(settings, shared=replace(settings.shared, database=database))
    return replace(
        settings,
        smtp=_with_certificates(settings.smtp, folder),
        pop3=_with_certificates(settings.pop3, folder),
        imap=_with_certificates(settings.imap, folder),
        api=_with_certificates(settings.api, folder),
    )


def load_command_settings() -> Settings:
    """Load the settings of an administration command; prints a discovered database. Raises ConfigurationError."""
    settings = _load(serving=False)
    if settings.discovered is not None:
        print_note(f"the database is {settings.discovered.path} ({settings.discovered.reason})")
    return settings


def _load(*, serving: bool) -> Settings:
    _check()
    if is_set(DatabaseSettings, "default_connection", os.environ):
        return Settings()
    discovered = database_discovery.discover(serving=serving)
    return Settings(
        shared=ResourceSettings(database=DatabaseSettings(default_connection=discovered.url)), discovered=discovered
    )


def _with_certificates(section: S, folder: Path) -> S:
    """The settings of a service whose development certificates are in a folder, unless a setting names another one."""
    if is_set(type(section), "development_certificates", os.environ):
        return section
    return section.model_copy(update={"development_certificates": folder / "tls"})


def _check() -> None:
    """Log to the console, and check the names of the variables. Raises ConfigurationError."""
    log_to_console()
    suspects = check_names(SECTIONS, os.environ)
    if suspects and WORKER_VARIABLE not in os.environ:  # the parent process has printed this
        print_note(f"ignored: {', '.join(suspects)}; a setting has two underscores between section and name")
