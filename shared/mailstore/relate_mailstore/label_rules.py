"""Labels: which keyword a name gets, which id a keyword gets, and the labels of an account in order. Pure."""

import re
from collections.abc import Collection, Iterable, Sequence
from unicodedata import normalize
from uuid import UUID, uuid5

from relate_mailstore.errors import LabelExists, LabelNotFound, TooManyLabels
from relate_mailstore.filter_types import Label, LabelId, LabelStyle
from relate_mailstore.folding import fold
from relate_mailstore.identifiers import AccountId
from relate_mailstore.keywords import key_of

MAX_LABELS = 200
"""Stored per account: fewer than a mailbox may have keywords (`MAX_MAILBOX_KEYWORDS`)."""

MAX_KEYWORD_CHARACTERS = 64
DEFAULT_COLOR = "#808080"

_NAMESPACE = UUID("6f0c6d2e-2a3b-4a53-9d0b-6a3d2a6f1c10")  # random; that of uuid5
# The characters of atoms (RFC 9051 §9) that need no quoting anywhere, which the REST API takes for labels.
_KEYWORD = re.compile(rf"[A-Za-z0-9$_.+-]{{1,{MAX_KEYWORD_CHARACTERS}}}")
_OTHERS = re.compile(r"[^A-Za-z0-9$_.+-]+")
_SUFFIX_CHARACTERS = 6  # of a keyword that must differ from others: `_` and a number


def label_id(account_id: AccountId, keyword: str) -> LabelId:
    """The id of a keyword's label, stored or not; it does not depend on the keyword's case."""
    return LabelId(uuid5(_NAMESPACE, f"{account_id} {key_of(keyword)}"))


def name_key(name: str) -> str:
    """The key in which names of labels are unique: case, width and normal form do not matter."""
    return fold(name) or name


def keyword_label(account_id: AccountId, keyword: str) -> Label:
    """The label of a keyword for which none is stored."""
    return Label(label_id(account_id, keyword), keyword, LabelStyle(keyword, DEFAULT_COLOR), is_stored=False)


def all_labels(account_id: AccountId, stored: Collection[Label], keywords: Iterable[str]) -> Sequence[Label]:
    """The stored labels, and those of other keywords that messages have, in the order of a list."""
    labels = {keyword_label(account_id, keyword).id: keyword_label(account_id, keyword) for keyword in keywords}
    labels |= {label.id: label for label in stored}
    return sorted(labels.values(), key=lambda label: (label.style.sort_order, fold(label.style.name), label.keyword))


def find_label(labels: Iterable[Label], label_id: LabelId) -> Label:
    """One label by its id. Raises LabelNotFound."""
    for label in labels:
        if label.id == label_id:
            return label
    raise LabelNotFound(f"label {label_id}")


def new_label(account_id: AccountId, style: LabelStyle, labels: Sequence[Label]) -> Label:
    """A new label beside an account's `labels`, stored or not; a name that is a keyword takes over that keyword.

    Raises LabelExists, TooManyLabels.
    """
    check_style(style, labels)
    check_label_limit(labels)
    keyword = _new_keyword(style.name, labels)
    return Label(label_id(account_id, keyword), keyword, style)


def check_style(style: LabelStyle, labels: Iterable[Label], changed: LabelId | None = None) -> None:
    """Raise LabelExists if a stored label other than the `changed` one has this name."""
    key = name_key(style.name)
    if any(label.is_stored and label.id != changed and name_key(label.style.name) == key for label in labels):
        raise LabelExists("a label has this name")


def check_label_limit(labels: Iterable[Label]) -> None:
    """Raise TooManyLabels if another label may not be stored."""
    if sum(label.is_stored for label in labels) >= MAX_LABELS:
        raise TooManyLabels(f"{MAX_LABELS} labels")


def _new_keyword(name: str, labels: Sequence[Label]) -> str:
    stored = {key_of(label.keyword) for label in labels if label.is_stored}
    spellings = {key_of(label.keyword): label.keyword for label in labels}
    if _KEYWORD.fullmatch(name) and key_of(name) not in stored:
        return spellings.get(key_of(name), name)
    # Cut first, because normalizing is quadratic in a run of combining marks.
    ascii_name = normalize("NFKD", name[:MAX_KEYWORD_CHARACTERS]).encode("ascii", "ignore").decode()
    base = _OTHERS.sub("_", ascii_name).strip("_")[: MAX_KEYWORD_CHARACTERS - _SUFFIX_CHARACTERS] or "label"
    candidates = (f"{base}_{number}" if number > 1 else base for number in range(1, len(spellings) + 2))
    return next(candidate for candidate in candidates if key_of(candidate) not in spellings)
