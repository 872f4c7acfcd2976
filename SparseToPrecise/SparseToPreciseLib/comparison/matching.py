"""Which segment of one segmentation is which of another one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..core.errors import InputError, listing

_LISTED = 20


@dataclass(frozen=True)
class Label:
    """A segment as far as it is matched.

    Attributes
    ----------
    key
        By which whoever asks knows it, such as its ID.
    name
        Its name.
    value
        Its label value.
    """

    key: str
    name: str
    value: int

    @property
    def named(self) -> bool:
        """Whether somebody gave it a name: not that of a label value alone, as labelmaps have."""
        return re.fullmatch(r"(?i)(segment|label)?[ _]*\d*", self.name.strip()) is None


@dataclass(frozen=True)
class Matching:
    """Pairs of labels of A and B, in A's order, and those that have no partner."""

    pairs: tuple[tuple[Label, Label], ...]
    only_a: tuple[Label, ...]
    only_b: tuple[Label, ...]


def match(a: Sequence[Label], b: Sequence[Label], wanted: Sequence[str] = ()) -> Matching:
    """Match labels by name, and those that are left by value.

    Names are compared without regard to case and spaces at their ends. Values count only where one of the two has no
    name of its own: a liver with the value 1 is no spleen with the value 1. A single segment on either side is matched
    with the other whatever it is called.

    Parameters
    ----------
    a, b
        The labels.
    wanted
        Compare only these of A: keys, names or values, or "NAME=NAME" for a pair of names of A and B.

    Raises
    ------
    InputError
        One that is wanted is not there, or there is no pair at all.

    Examples
    --------
    >>> a = [Label("1", "Liver", 1), Label("2", "Spleen", 2)]
    >>> b = [Label("x", "Segment_2", 2), Label("y", "liver ", 7), Label("z", "Colon", 3)]
    >>> found = match(a, b)
    >>> [(one.name, other.key) for one, other in found.pairs], [one.name for one in found.only_b]
    ([('Liver', 'y'), ('Spleen', 'x')], ['Colon'])
    """
    if wanted:
        pairs = [_wanted(a, b, text) for text in wanted]
        return Matching(tuple(pairs), (), ())
    found: dict[str, Label] = {}
    left = list(b)
    rules = (
        lambda one, other: _plain(one.name) == _plain(other.name) and _plain(one.name) != "",
        lambda one, other: one.value == other.value and not (one.named and other.named),
        lambda one, other: len(a) == len(b) == 1,
    )
    for rule in rules:
        for one in a:
            partner = next((other for other in left if rule(one, other)), None)
            if one.key not in found and partner is not None:
                found[one.key] = partner
                left.remove(partner)
    if not found:
        names = (listing([one.name for one in labels], _LISTED) or "nothing" for labels in (a, b))
        raise InputError(
            "No segment is in both: A has {}, B has {}; name them alike, or give pairs with --segments A=B.".format(
                *names
            )
        )
    pairs = tuple((one, found[one.key]) for one in a if one.key in found)
    return Matching(pairs, tuple(one for one in a if one.key not in found), tuple(left))


def _plain(name: str) -> str:
    return name.strip().casefold()


def _wanted(a: Sequence[Label], b: Sequence[Label], text: str) -> tuple[Label, Label]:
    first, equals, second = text.partition("=")
    one = _named(a, first, "A")
    if equals:
        return one, _named(b, second, "B")
    same = [other for other in b if _plain(other.name) == _plain(one.name)]
    same = same or [other for other in b if other.value == one.value and not (one.named and other.named)]
    if not same:
        raise InputError(
            f"B has no segment {one.name}; it has {listing([other.name for other in b], _LISTED) or 'none'}; "
            f"say which one is meant with --segments {first}=NAME."
        )
    return one, same[0]


def _named(labels: Sequence[Label], text: str, which: str) -> Label:
    tests = (
        lambda label: label.key == text,
        lambda label: _plain(label.name) == _plain(text),
        lambda label: str(label.value) == text.strip(),
    )
    for test in tests:
        found = [label for label in labels if test(label)]
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(f"{len(found)} segments of {which} are called {text}; give the ID of one of them.")
    names = listing([label.name for label in labels], _LISTED) or "none"
    raise InputError(f"{which} has no segment {text}; it has {names}.")
