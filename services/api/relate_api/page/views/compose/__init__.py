"""Writing mail: the form, and what becomes of it."""

from relate_api.page.routes import join
from relate_api.page.views.compose import form, taking

__all__ = ["router"]

router = join(form, taking)
