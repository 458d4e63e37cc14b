"""Logins by tokens of an OpenID Connect issuer, beside keys."""

from relate_api.oidc.issuer import Issuer, IssuerUnavailable
from relate_api.oidc.logins import OidcLogins

__all__ = ["Issuer", "IssuerUnavailable", "OidcLogins"]
