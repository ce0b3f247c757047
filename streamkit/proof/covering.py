"""Covering arrays over yes and no: few rows in which any few columns take every combination of values.

Strength 2 after Katona and after Kleitman and Spencer (both 1973): as columns, the subsets of `n` rows that have half
of them and share one row; no array has fewer rows. Strength 3 by doubling, after Roux: an array of strength 3 beside
itself, and below it one of strength 2 beside its complement. Both grow with the logarithm of the columns: 53 rows are
enough for every combination in any 3 of 214 columns.
"""

from __future__ import annotations

from itertools import combinations, islice
from math import comb

from streamkit.errors import UsageError

__all__ = ["covering_array"]

Rows = list[list[bool]]


def covering_array(columns: int, strength: int) -> Rows:
    """Return the rows of a covering array.

    Args:
        columns: how many columns, at least 0.
        strength: any so many columns take all `2**strength` combinations over the rows: 2 or 3.

    Raises:
        UsageError: another strength, or a negative number of columns.
    """
    if strength not in (2, 3) or columns < 0:
        raise UsageError(f"no covering array of strength {strength} over {columns} columns: give 2 or 3, and 0 or more")
    return _pairs(columns) if strength == 2 else _triples(columns)


def _pairs(columns: int) -> Rows:
    if columns < 2:
        return [[False] * columns, [True] * columns]
    size = 4
    while comb(size - 1, size // 2 - 1) < columns:
        size += 1
    chosen = islice(combinations(range(1, size), size // 2 - 1), columns)
    sets = [{0, *rest} for rest in chosen]
    return [[row in one for one in sets] for row in range(size)]


def _triples(columns: int) -> Rows:
    if columns <= 4:  # the fourth column is the parity of the others: of any three, the third is still free
        bits = [[bool(row & 1), bool(row & 2), bool(row & 4)] for row in range(8)]
        return [[*three, three[0] ^ three[1] ^ three[2]][:columns] for three in bits]
    half = -(-columns // 2)
    rows = [[*row, *row] for row in _triples(half)]
    rows += [[*row, *(not value for value in row)] for row in _pairs(half)]
    return [row[:columns] for row in rows]
