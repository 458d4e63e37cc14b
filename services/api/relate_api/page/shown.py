"""How values of strangers are shown, without what reverses, hides or imitates other text: names, subjects, texts. Pure.

Templates escape all values; these filters remove what HTML does not: controls, and Unicode's formats, which reverse or
hide text. Joiners stay, because emoji and several scripts need them.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from relate_mailstore.filter_types import Label, LabelId, LabelStyle
from relate_mailstore.keywords import key_of

MAX_LINE_CHARACTERS = 300
"""Of a subject or a name in a list; a header line may have a megabyte."""
MAX_LINKS = 500
"""Of one text; further addresses are shown as text."""

_ATTRIBUTE = "$"
"""A keyword that begins so is an attribute, such as $Forwarded, unless a person has made a label of it (RFC 5788)."""
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"
_URL = re.compile(r"https?://[^\s<>\"'`]++")
_WORD_START = re.compile(r"(?<=[a-z])([A-Z])")
_TRAILING = ".,;:!?"
_PAIRS = {")": "(", "]": "[", "}": "{"}
_SIZES = ("B", "kB", "MB", "GB")
_STEP_OCTETS = 1000


def one_line(text: object, default: str = "") -> str:
    """A text in one line of printable characters; `default` if nothing remains."""
    cut = str(text)[: 4 * MAX_LINE_CHARACTERS]
    printable = "".join(character for character in cut if _is_printable(character))
    line = " ".join(printable.split())
    return (line if len(line) <= MAX_LINE_CHARACTERS else line[:MAX_LINE_CHARACTERS] + "…") or default


def person(address: Any) -> str:
    """The name of an address, or the address without a name."""
    return one_line(address.name) or one_line(address.address, "(no sender)")


def plain_text(text: str) -> Markup:
    """A plain text with its line breaks, in which addresses of the web are links."""
    return Markup("").join(_linked(printable(text)))


def printable(text: str) -> str:
    """A text with its line breaks, without what reverses or hides other text."""
    return "".join(each for each in text if each in "\n\t" or _is_printable(each))


def file_size(octets: int) -> str:
    """A size as people read it: `46 kB`."""
    value, unit = float(octets), 0
    while value >= _STEP_OCTETS - 0.5 and unit < len(_SIZES) - 1:
        value, unit = value / _STEP_OCTETS, unit + 1
    return f"{value:.0f} {_SIZES[unit]}" if unit == 0 or value >= 10 else f"{value:.1f} {_SIZES[unit]}"


def moment(time: datetime | float | None) -> Markup:
    """A time in UTC, or in seconds since the epoch, which the page's script replaces by the local one."""
    if time is None:
        return Markup("")
    if not isinstance(time, datetime):
        time = datetime.fromtimestamp(time, UTC)
    utc = time.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="milliseconds"), f"{utc:%Y-%m-%d %H:%M} UTC"
    )


def mailbox_label(name: str) -> str:
    """The name of a mailbox as people know it."""
    return "Inbox" if name == "INBOX" else one_line(name)


class Chip(NamedTuple):
    """A label of a message. A keyword without a stored label has no colour; `id` is None if it is gone."""

    name: str
    color: str
    id: LabelId | None


def chips(keywords: Iterable[str], labels: Iterable[Label]) -> Iterator[Chip]:
    """The labels of a message, of those of its account; keywords with a meaning of their own are none."""
    known = {key_of(label.keyword): label for label in labels}
    for keyword in keywords:
        label = known.get(key_of(keyword))
        is_stored = label is not None and label.is_stored
        if keyword.startswith(_ATTRIBUTE) and not is_stored:
            continue
        style = label.style if label is not None and is_stored else LabelStyle(keyword, "")
        yield Chip(one_line(style.name), style.color, None if label is None else label.id)


def labels_of_people(labels: Iterable[Label]) -> list[Label]:
    """The labels that a person may give: keywords that are attributes of messages are left out."""
    return [label for label in labels if label.is_stored or not label.keyword.startswith(_ATTRIBUTE)]


def label_query(label: Label) -> str:
    """The search for the messages with a label."""
    return f"label:{label.keyword}"


def property_words(name: str) -> str:
    """The name of a property as words: `next attempt` of next_attempt, `authenticated as` of authenticatedAs."""
    return one_line(_WORD_START.sub(r" \1", name).replace("_", " ").lower())


FILTERS: Mapping[str, Callable[..., object]] = {
    "one_line": one_line,
    "person": person,
    "plain_text": plain_text,
    "file_size": file_size,
    "moment": moment,
    "mailbox_label": mailbox_label,
    "property_words": property_words,
    "chips": chips,
    "label_query": label_query,
}
"""The filters of templates."""


def _linked(text: str) -> Iterator[Markup]:
    position = 0
    for number, found in enumerate(_URL.finditer(text)):
        if number == MAX_LINKS:
            break
        url = _without_punctuation(found[0])
        yield escape(text[position : found.start()])
        yield Markup('<a href="{0}" target="_blank" rel="noopener noreferrer nofollow">{0}</a>').format(url)
        position = found.start() + len(url)
    yield escape(text[position:])


def _without_punctuation(url: str) -> str:
    """An address without the punctuation of its sentence; a closing bracket belongs to it if it opens that, too."""
    opened = {closing: url.count(opening) - url.count(closing) for closing, opening in _PAIRS.items()}
    end = len(url)
    while end:
        last = url[end - 1]
        if last not in _TRAILING and opened.get(last, 0) >= 0:
            break
        if last in opened:
            opened[last] += 1
        end -= 1
    return url[:end]


def _is_printable(character: str) -> bool:
    if character.isspace() or character in _JOINERS:
        return True
    return character.isprintable() or unicodedata.category(character) not in _UNPRINTABLE
