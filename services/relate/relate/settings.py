"""All settings of the embedded edition, read once: what is wrong in any section is said before anything starts."""

from dataclasses import dataclass, field
from importlib.util import find_spec

from relate_api.config import ApiSettings
from relate_config import load
from relate_imap.config import ImapSettings
from relate_pop3.config import Pop3Settings
from relate_service.resources import ResourceSettings
from relate_smtp.config import SmtpSettings

HAS_IMAP = find_spec("relate_imap.__main__") is not None
"""Whether there is a server for the IMAP settings."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every section of the environment. Raises ConfigurationError when made."""

    shared: ResourceSettings = field(default_factory=ResourceSettings)
    smtp: SmtpSettings = field(default_factory=lambda: load(SmtpSettings))
    pop3: Pop3Settings = field(default_factory=lambda: load(Pop3Settings))
    imap: ImapSettings = field(default_factory=lambda: load(ImapSettings))
    api: ApiSettings = field(default_factory=lambda: load(ApiSettings))
