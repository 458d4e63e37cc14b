"""Preconditions of requests (RFC 9110 §13.1). Pure."""


def matches_none(if_none_match: str | None, etag: str) -> bool:
    """Whether If-None-Match has the tag, compared weakly, or `*`: then the client's copy is current (§13.1.2)."""
    if if_none_match is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return not tags.isdisjoint({etag, "*"})


def matches(if_match: str, etag: str) -> bool:
    """Whether If-Match has the strong tag, or `*` (§13.1.1)."""
    tags = {tag.strip() for tag in if_match.split(",")}
    return not tags.isdisjoint({etag, "*"})


def range_applies(if_range: str | None, etag: str) -> bool:
    """Whether If-Range allows a range: it is the strong tag, or absent (§13.1.5). Dates never match."""
    return if_range is None or if_range.strip() == etag
