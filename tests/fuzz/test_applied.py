"""What mutations make of a stream is made once, and is what the mutations make."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

import streamkit
from streamkit.fuzz import applied
from streamkit.fuzz.applied import Applied
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, Mutation, Step, mutation, mutations
from streamkit.mutations.stream import Stream

BOSTON = "openai_chat/boston_weather"


def stream() -> Stream:
    return Stream.of(streamkit.load(BOSTON))


def counting(made: list[int]) -> Mutation:
    """A mutation that notes how often it was made; it drops the first events, as many as is chosen."""

    def edit(one: Stream, choose: Choose) -> Edit:
        count = choose(4)
        made.append(count)
        if count == 3:
            raise Inapplicable("three are too many")
        return Edit(one.replaced(0) if count == 0 else one.cut(count), f"{count} events")

    entry = mutation("counting", Class.FAULT, Layer.DELTA, "drops events", right="raises", sources=["none"])
    return entry(edit)


def last(held: Applied, step: Step) -> Edit:
    return held.edits((step,))[-1]


def told(make: Callable[[], Edit]) -> object:
    """Return what an edit says, or why there is none."""
    try:
        edit = make()
    except Inapplicable as reason:
        return str(reason)
    return edit.stream.body(), edit.said, edit.before, edit.after


def test_the_same_steps_are_made_once() -> None:
    made: list[int] = []
    one = counting(made)
    held = Applied(stream())
    first = held.edits((Step(one, (1,)),))
    assert first is held.edits((Step(one, (1,)),))
    assert first[-1].stream.body() == held.body((Step(one, (1,)),))
    assert [1] == made


def test_steps_go_on_from_where_the_steps_before_them_are_known() -> None:
    made: list[int] = []
    one = counting(made)
    held = Applied(stream())
    first = held.edits((Step(one, (2,)),))
    both = held.edits((Step(one, (2,)), Step(one)))
    assert first[0] is both[0]
    assert [2, 0] == made


def test_what_has_nothing_to_do_says_why_each_time_and_is_asked_once() -> None:
    made: list[int] = []
    held = Applied(stream())
    for _ in range(2):
        with pytest.raises(Inapplicable, match="three are too many"):
            held.edits((Step(counting(made), (3,)),))
    assert [3] == made[:1]


def test_variants_are_those_of_the_mutation_and_the_first_of_them_is_kept() -> None:
    made: list[int] = []
    one = counting(made)
    held = Applied(stream())
    assert [(), (1,), (2,), (3,)] == list(held.variants(one, 8)) == list(one.variants(stream(), 8))
    made.clear()
    held.edits((Step(one),))
    assert [] == made


@pytest.mark.parametrize("most", [0, 1, 2, 5, 12])
def test_every_mutation_has_the_same_variants_either_way(most: int) -> None:
    held = Applied(stream())
    for one in mutations():
        assert list(one.variants(stream(), most)) == list(held.variants(one, most)), one.name


def test_edits_that_were_not_asked_for_lately_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    one = counting(made)
    held = Applied(stream())
    monkeypatch.setattr(applied, "_KEPT", 2 * (applied._AN_EDIT + 4000))
    for number in (1, 2, 1, 0, 1, 2):
        held.edits((Step(one, (number,)),))
    assert [1, 2, 0, 2] == made


def test_every_edit_is_the_one_that_the_steps_make_by_themselves() -> None:
    held = Applied(stream())
    for one in mutations(dialect="openai_chat"):
        for numbers in held.variants(one, 3):
            step = Step(one, numbers)
            assert told(partial(step.apply, stream())) == told(partial(last, held, step)), one
