"""Logins by tokens of an OpenID Connect issuer, beside keys, and by a browser."""

from relate_api.oidc.code_flow import SIGN_IN_SECONDS, CodeFlow, FlowFailed
from relate_api.oidc.issuer import Issuer, IssuerUnavailable
from relate_api.oidc.logins import OidcLogins

__all__ = ["SIGN_IN_SECONDS", "CodeFlow", "FlowFailed", "Issuer", "IssuerUnavailable", "OidcLogins"]
