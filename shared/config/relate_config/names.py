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
    ours = {name.lower(): name for section in sections for name in variables(section)}
    misspelt = [f"{variable} (did you mean {meant}?)" for variable in environ if (meant := _meant(variable, ours))]
    if misspelt:
        raise ConfigurationError(f"unknown setting {', '.join(sorted(misspelt))}")
    single = {name.lower().replace(_SEPARATOR, "_", 1) for name in ours.values()}
    return sorted(variable for variable in environ if variable.lower() in single and not variable.isupper())


def is_set(section: type[SectionLike], field: str, environ: Mapping[str, str]) -> bool:
    """Whether the environment sets this field of a section, directly or by `__File`."""
    name = f"{section.prefix}{_SEPARATOR}{to_pascal(field)}".lower()
    return any(variable.lower() in (name, name + FILE_SUFFIX.lower()) for variable in environ)


def variables(section: type[SectionLike]) -> list[str]:
    """Return the names of a section's variables."""
    return [f"{section.prefix}{_SEPARATOR}{to_pascal(field)}" for field in section.__pydantic_fields__]


def _meant(variable: str, ours: Mapping[str, str]) -> str | None:
    """Return the known variable that resembles one with an unknown section, if any.

    Section and field must both be similar, because other programs use two underscores too.
    """
    section, separator, field = variable.partition(_SEPARATOR)
    known = {name.partition(_SEPARATOR)[0] for name in ours.values()}
    if not separator or section.lower() in {name.lower() for name in known}:
        return None  # `load` reports unknown fields of known sections
    meant = nearest(section, known)
    if meant is None:
        return None
    fields = [name.partition(_SEPARATOR)[2] for name in ours.values() if name.startswith(f"{meant}{_SEPARATOR}")]
    near = nearest(field.removesuffix(FILE_SUFFIX), fields)
    return None if near is None else f"{meant}{_SEPARATOR}{near}"
