"""The catalogue: what a mutation is, and how one is found by its name.

A mutation is a function of a stream and of choices. It takes its choices in order from small numbers, so that the same
numbers always make the same edit, none at all make its first variant, and Hypothesis shrinks towards that one.

    @mutation("bom", Class.PRESERVING, Layer.BYTES, "begins with a byte order mark", sources=[...], right=...)
    def bom(stream: Stream, choose: Choose) -> Edit: ...

A mutation that has nothing to do in a stream raises `Inapplicable` with the reason.
"""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from streamkit.errors import Inapplicable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from streamkit.mutations.stream import Stream

__all__ = [
    "LINES",
    "TEXTS",
    "Choose",
    "Class",
    "Edit",
    "Inapplicable",
    "Layer",
    "Mutation",
    "Step",
    "get",
    "mutation",
    "mutations",
    "spread",
]

#: The framings by lines, and those in which an event is a JSON text.
LINES = ("sse", "ndjson")
TEXTS = (*LINES, "jsonarray")


class Class(IntEnum):
    """What a mutation leaves of the meaning.

    Attributes:
        PRESERVING: all of it: the result must be the same.
        DIALECT: another server's way to say it: the sensible result, or a typed error.
        FAULT: the stream is broken: a typed error, and no executable tool call.
    """

    PRESERVING = 0
    DIALECT = 1
    FAULT = 2

    def __str__(self) -> str:
        return self.name.lower()


class Layer(StrEnum):
    """What a mutation edits."""

    BYTES = "bytes"
    FRAMING = "framing"
    JSON = "json"
    DELTA = "delta"
    DELIVERY = "delivery"


class Choose:
    """Gives a mutation its choices from small numbers.

    Args:
        numbers: the choices.
        taken: gets how many ways each choice had, in order; a list of its own where None.

    Attributes:
        taken: that list.
    """

    def __init__(self, numbers: Sequence[int] = (), taken: list[int] | None = None) -> None:
        self._numbers = tuple(numbers)
        self.taken: list[int] = [] if taken is None else taken

    def __call__(self, ways: int) -> int:
        """Return a number from 0, below `ways`; 0 where no number is left."""
        if ways < 1:
            raise Inapplicable("there is nothing to choose from")
        place = len(self.taken)
        self.taken.append(ways)
        return self._numbers[place] % ways if place < len(self._numbers) else 0

    def of(self, values: Sequence[Any]) -> Any:
        """Return one of several values; the first where no number is left."""
        return values[self(len(values))]


@dataclass(frozen=True)
class Edit:
    """What a mutation did.

    Attributes:
        stream: the stream after it.
        said: what was changed, in words.
        before, after: numbers of the events concerned, in the stream before and after it.
        expected: makes the sensible result out of the original's, where it is another; None where it is the same.
        also: make further results that are as sensible, where what the server meant cannot be known.
        refusable: of the preserving class: a typed error is right as well, for no server has cause to do this.
    """

    stream: Stream
    said: str
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    expected: Callable[[Any], Any] | None = None
    also: tuple[Callable[[Any], Any], ...] = ()
    refusable: bool = False


@dataclass(frozen=True)
class Mutation:
    """One entry of the catalogue.

    Attributes:
        name: in lower case with underscores.
        kind: what it leaves of the meaning.
        layer: what it edits.
        does: what it does, in one line.
        right: what a right parser does.
        sources: reports of it, as repository#number, or the standard's section.
        dialects: names of the dialects that it knows; none for all.
        edit: makes the edit.
        shows: whether it can be seen in the events (their number, data, id or retry), though the meaning is the same.
        wires: the framings that it can edit, where it names no dialect.
    """

    name: str
    kind: Class
    layer: Layer
    does: str
    right: str
    sources: tuple[str, ...]
    dialects: tuple[str, ...]
    edit: Callable[[Stream, Choose], Edit] = field(repr=False)
    shows: bool = False
    wires: tuple[str, ...] = LINES

    def __hash__(self) -> int:
        return hash(self.name)  # steps are looked up often, and no two entries share a name

    def knows(self, stream: Stream) -> bool:
        """Say whether it knows the dialect of a stream or, where it knows all of them, its framing."""
        return stream.dialect in self.dialects if self.dialects else stream.manner.wire in self.wires

    def apply(self, stream: Stream, numbers: Sequence[int] = (), ways: list[int] | None = None) -> Edit:
        """Return the edit for these choices.

        Args:
            stream: what is edited.
            numbers: the choices.
            ways: where given, gets how many ways each choice had, also where there is nothing to do.

        Raises:
            Inapplicable: there is nothing to do, or it would change nothing.
        """
        if not self.knows(stream):
            if self.dialects:
                raise Inapplicable(f"it knows {', '.join(self.dialects)}, and this is {stream.dialect or 'unknown'}")
            raise Inapplicable(f"it knows no framing by {stream.manner.wire}")
        choose = Choose(numbers, ways)
        try:
            edit = self.edit(stream, choose)
        except RecursionError:
            raise Inapplicable("its JSON is nested too deep") from None
        if edit.stream.body() == stream.body():
            raise Inapplicable("it would change nothing")
        return edit

    def variants(self, stream: Stream, most: int = 8) -> Iterator[tuple[int, ...]]:
        """Yield choices that make different edits; see `spread`.

        Args:
            stream: what is edited.
            most: the most to yield.
        """
        if most < 1 or not self.knows(stream):
            return
        ways: list[int] = []
        with suppress(Inapplicable):
            self.apply(stream, (), ways)
        yield from spread(ways, most)


def spread(ways: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """Yield choices that make different edits: the first, then each choice by itself, evenly spread.

    An earlier choice is given more of them than a later one: it is what is done, and the later ones where.

    Args:
        ways: how many ways each choice has.
        most: the most to yield, at least 1.
    """
    yield ()
    left = most - 1
    places = [place for place, many in enumerate(ways) if many > 1]
    for done, place in enumerate(places):
        others = ways[place] - 1
        count = min(others, left, max(1, left - (len(places) - done - 1)))
        for number in range(count):
            yield (*(0,) * place, 1 + number * (others - 1) // max(1, count - 1))
        left -= count


@dataclass(frozen=True)
class Step:
    """A mutation with its choices; its text is `name` or `name(3,1)`.

    Attributes:
        mutation: which.
        numbers: the choices.
    """

    mutation: Mutation
    numbers: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Step:
        """Read a step.

        Raises:
            UsageError: there is no such mutation, or the text is no step.
        """
        found = re.fullmatch(r"([\w.]+)(?:\((\d+(?:,\d+)*)\))?", text.strip())
        if found is None:
            raise UsageError(f"{text!r} is no mutation: write a name, or a name with its choices: 'truncate(3,1)'")
        return cls(get(found[1]), tuple(int(number) for number in (found[2] or "").split(",") if number))

    def apply(self, stream: Stream) -> Edit:
        """Return the edit; see `Mutation.apply`."""
        return self.mutation.apply(stream, self.numbers)

    def __str__(self) -> str:
        numbers = list(self.numbers)
        while numbers and numbers[-1] == 0:
            numbers.pop()
        return self.mutation.name + (f"({','.join(map(str, numbers))})" if numbers else "")


def mutation(
    name: str,
    kind: Class,
    layer: Layer,
    does: str,
    *,
    right: str,
    sources: Sequence[str],
    dialects: Sequence[str] = (),
    shows: bool = False,
    wires: Sequence[str] = LINES,
) -> Callable[[Callable[[Stream, Choose], Edit]], Mutation]:
    """Make an entry of the catalogue out of a function; see `Mutation` for the arguments."""

    def entry(edit: Callable[[Stream, Choose], Edit]) -> Mutation:
        return Mutation(name, kind, layer, does, right, tuple(sources), tuple(dialects), edit, shows, tuple(wires))

    return entry


@lru_cache(maxsize=1)
def _catalogue() -> dict[str, Mutation]:
    from streamkit.mutations import catalogue

    found: dict[str, Mutation] = {}
    for module in catalogue.MODULES:
        for one in vars(module).values():
            if isinstance(one, Mutation):
                entry = _placed(one)
                if found.setdefault(entry.name, entry).edit is not entry.edit:
                    raise UsageError(f"two mutations are named {entry.name!r}")
    return dict(sorted(found.items(), key=lambda item: (item[1].kind, list(Layer).index(item[1].layer), item[0])))


def _placed(one: Mutation) -> Mutation:
    """Return an entry under the name that the catalogue knows it by: those of other dialects than chat bear theirs."""
    if len(one.dialects) != 1 or one.dialects[0] == "openai_chat":
        return one
    told = any(one.name.startswith(f"{word}_") for word in one.dialects[0].split("_"))
    return one if told else replace(one, name=f"{one.dialects[0]}.{one.name}")


def mutations(
    *, classes: Sequence[str | Class] | None = None, layers: Sequence[str] | None = None, dialect: str | None = None
) -> list[Mutation]:
    """Return the entries of the catalogue, by class, layer and name.

    Args:
        classes: only these classes, by name or value; all where None.
        layers: only these layers; all where None.
        dialect: only those that know this dialect; all where None.

    Raises:
        UsageError: there is no such class or layer; the nearest is named.
    """
    kinds = None if classes is None else {_named(Class, one) for one in classes}
    places = None if layers is None else {_named(Layer, one) for one in layers}
    return [
        one
        for one in _catalogue().values()
        if (kinds is None or one.kind in kinds)
        and (places is None or one.layer in places)
        and (dialect is None or not one.dialects or dialect in one.dialects)
    ]


def _named(kind: Any, name: Any) -> Any:
    if isinstance(name, kind):
        return name
    known = {str(member): member for member in kind}
    if name not in known:
        near = difflib.get_close_matches(str(name), known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        raise UsageError(f"no {kind.__name__.lower()} named {name!r}; {hint}")
    return known[name]


def get(name: str) -> Mutation:
    """Return the mutation of that name.

    Raises:
        UsageError: there is none; the nearest are given.
    """
    catalogue = _catalogue()
    if name not in catalogue:
        near = difflib.get_close_matches(name, catalogue, 3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "`streamkit mutations` lists them"
        raise UsageError(f"no mutation named {name!r}; {hint}")
    return catalogue[name]
