"""Names of variables that are nearly ours: a misspelt one must not pass for a default."""

from collections.abc import Mapping, Sequence

from pydantic.alias_generators import to_pascal

from relate_config.near import nearest
from relate_config.settings import FILE_SUFFIX, ConfigurationError, SectionLike

_SEPARATOR = "__"


def check_names(sections: Sequence[type[SectionLike]], environ: Mapping[str, str]) -> list[str]:
    """Variables that were probably meant for these sections, but have one underscore (`Imap_Port`).

    Names in capitals alone are left out, because container runtimes make such variables of services (`SMTP_PORT`).
    Raises ConfigurationError for a section that is nearly ours (`Smpt__Port`), naming the nearest variable.
    """
    ours = {name.lower(): name for section in sections for name in variables(section)}
    misspelt = [f"{variable} (did you mean {meant}?)" for variable in environ if (meant := _meant(variable, ours))]
    if misspelt:
        raise ConfigurationError(f"unknown setting {', '.join(sorted(misspelt))}")
    single = {name.lower().replace(_SEPARATOR, "_", 1) for name in ours.values()}
    return sorted(variable for variable in environ if variable.lower() in single and not variable.isupper())


def is_set(section: type[SectionLike], field: str, environ: Mapping[str, str]) -> bool:
    """Whether the environment gives this field of a section, by itself or from a file."""
    name = f"{section.prefix}{_SEPARATOR}{to_pascal(field)}".lower()
    return any(variable.lower() in (name, name + FILE_SUFFIX.lower()) for variable in environ)


def variables(section: type[SectionLike]) -> list[str]:
    """The names of a section's variables."""
    return [f"{section.prefix}{_SEPARATOR}{to_pascal(field)}" for field in section.__pydantic_fields__]


def _meant(variable: str, ours: Mapping[str, str]) -> str | None:
    """The variable of ours that one of another section was meant to be, if that is likely.

    Section and field must both be near, because other programs use two underscores too.
    """
    section, separator, field = variable.partition(_SEPARATOR)
    known = {name.partition(_SEPARATOR)[0] for name in ours.values()}
    if not separator or section.lower() in {name.lower() for name in known}:
        return None  # a field that its section does not know is told by `load`
    meant = nearest(section, known)
    if meant is None:
        return None
    fields = [name.partition(_SEPARATOR)[2] for name in ours.values() if name.startswith(f"{meant}{_SEPARATOR}")]
    near = nearest(field.removesuffix(FILE_SUFFIX), fields)
    return None if near is None else f"{meant}{_SEPARATOR}{near}"
