"""Tag lists of TXT records: `tag=value; tag=value` (RFC 6376 §3.2, RFC 7489 §6.4). Pure."""

from collections.abc import Mapping


def parse_tags(record: str) -> Mapping[str, str] | None:
    """The values by tag, in the order of the record, without white space around them; None if it is malformed.

    White space within a value is removed, because no value that is compared here may have any.
    """
    tags: dict[str, str] = {}
    for part in record.strip().removesuffix(";").split(";"):
        tag, separator, value = part.partition("=")
        if not separator or tag.strip() in tags:
            return None
        tags[tag.strip()] = "".join(value.split())
    return tags
