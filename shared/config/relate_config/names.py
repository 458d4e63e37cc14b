"""Detects misspelt variable names, so that a default is never used by mistake."""

from collections.abc import Mapping, Sequence

from pydantic.alias_generators import to_pascal

from relate_config.near import nearest
from relate_config.settings import FILE_SUFFIX, ConfigurationError, SectionLike

_SEPARATOR = "__"


def check_names(sections: Sequence[type[SectionLike]], environ: Mapping[str, str]) -> list[str]:
    """Return variables that probably belong to these sections, but have one underscore (`Imap_Port`).

    Without names in upper case, because container runtimes define such variables for services (`SMTP_PORT`).
    Raises ConfigurationError for a misspelt section (`Smpt__Port`), suggesting the nearest variable.
    """
    known = {name.lower(): name for section in sections for name in variables(section)}
    misspelt = [
        f"{variable} (did you mean {suggestion}?)" for variable in environ if (suggestion := _suggest(variable, known))
    ]
    if misspelt:
        raise ConfigurationError(f"unknown setting {', '.join(sorted(misspelt))}")
    single = {name.lower().replace(_SEPARATOR, "_", 1) for name in known.values()}
    return sorted(variable for variable in environ if variable.lower() in single and not variable.isupper())


def is_set(section: type[SectionLike], field: str, environ: Mapping[str, str]) -> bool:
    """Whether the environment sets this field of a section, directly or by `__File`."""
    name = f"{section.prefix}{_SEPARATOR}{to_pascal(field)}".lower()
    return any(variable.lower() in (name, name + FILE_SUFFIX.lower()) for variable in environ)


def variables(section: type[SectionLike]) -> list[str]:
    """Return the names of a section's variables."""
    return [f"{section.prefix}{_SEPARATOR}{to_pascal(field)}" for field in section.__pydantic_fields__]


def _suggest(variable: str, known: Mapping[str, str]) -> str | None:
    """Return the known variable that resembles one with an unknown section, if any.

    Section and field must both be similar, because other programs use two underscores too.
    """
    section, separator, field = variable.partition(_SEPARATOR)
    sections = {name.partition(_SEPARATOR)[0] for name in known.values()}
    if not separator or section.lower() in {name.lower() for name in sections}:
        return None  # `load` reports unknown fields of known sections
    near_section = nearest(section, sections)
    if near_section is None:
        return None
    prefix = f"{near_section}{_SEPARATOR}"
    fields = [name.removeprefix(prefix) for name in known.values() if name.startswith(prefix)]
    near_field = nearest(field.removesuffix(FILE_SUFFIX), fields)
    return None if near_field is None else prefix + near_field
