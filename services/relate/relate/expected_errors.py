"""The errors that are printed as one line, without a traceback, because the user can correct their cause."""

from relate.errors import CommandError
from relate_accounts.errors import AccountError
from relate_config import ConfigurationError
from relate_mailstore.errors import StoreError
from relate_wire.tls import CertificateError

EXPECTED_ERRORS = (ConfigurationError, CertificateError, AccountError, StoreError, CommandError, OSError)
