"""The errors that a command tells in one line, without a traceback: their messages say what to mend."""

from relate.errors import CommandError
from relate_accounts.errors import AccountError
from relate_config import ConfigurationError
from relate_mailstore.errors import StoreError
from relate_wire.tls import CertificateError

EXPECTED = (ConfigurationError, CertificateError, AccountError, StoreError, CommandError, OSError)
