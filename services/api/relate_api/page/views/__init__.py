"""What the page shows: a folder for each of its parts, and in it a module for each view."""

from relate_api.page.routes import join
from relate_api.page.views import admin, compose, mail, settings

__all__ = ["router"]

router = join(mail, compose, settings, admin)
