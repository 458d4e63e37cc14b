"""Settings from environment variables such as `Smtp__Port`: one class per section, clear errors, secrets from files."""

from relate_config.names import check_names, is_set
from relate_config.settings import ConfigurationError, Section, SectionLike, load

__all__ = ["ConfigurationError", "Section", "SectionLike", "check_names", "is_set", "load"]
