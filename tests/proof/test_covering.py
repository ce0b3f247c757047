"""Covering arrays: every combination is there, and the arrays stay small."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from streamkit.errors import UsageError
from streamkit.proof.covering import covering_array


@pytest.mark.parametrize("strength", [2, 3])
@pytest.mark.parametrize("columns", [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 23])
def test_any_few_columns_take_every_combination(columns: int, strength: int) -> None:
    rows = covering_array(columns, strength)
    assert {columns} == {len(row) for row in rows}
    taken = min(strength, columns)
    for chosen in combinations(range(columns), taken):
        assert set(product((False, True), repeat=taken)) == {tuple(row[one] for one in chosen) for row in rows}


def test_rows_grow_with_the_logarithm_of_the_columns() -> None:
    assert [4, 5, 6, 7, 8] == [len(covering_array(columns, 2)) for columns in (3, 4, 10, 15, 35)]
    assert 16 == len(covering_array(3219, 2))
    assert 53 == len(covering_array(214, 3))


def test_another_strength_is_refused() -> None:
    with pytest.raises(UsageError, match="strength 4"):
        covering_array(10, 4)
