"""Settings from the environment, as in `Smtp__Port`: one section a class, clear errors, secrets from files."""

from relate_config.settings import ConfigurationError, Section, load

__all__ = ["ConfigurationError", "Section", "load"]
