"""Logins by tokens of an OpenID Connect issuer, beside keys, and by a browser."""

from relate_api.oidc.code_flow import CodeFlow, FlowFailed
from relate_api.oidc.issuer import Issuer, IssuerUnavailable
from relate_api.oidc.logins import OidcLogins

__all__ = ["CodeFlow", "FlowFailed", "Issuer", "IssuerUnavailable", "OidcLogins"]
