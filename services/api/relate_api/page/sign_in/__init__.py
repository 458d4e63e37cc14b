"""Signing in, by a key or by the issuer, and signing out."""

from relate_api.page.routes import join
from relate_api.page.sign_in import by_issuer, by_key, signing_out

__all__ = ["PATHS", "router"]

PATHS = (*by_key.PATHS, *by_issuer.PATHS)

router = join(by_key, by_issuer, signing_out)
