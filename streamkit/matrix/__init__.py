"""A matrix: many clients over the catalogue of mutations, and what each did on each.

`read` gives the plan that a file holds, `drive` a row for each client, and a `Matrix` of the rows is what is written.
"""

from __future__ import annotations

from streamkit.matrix.compare import Change, changes, load_matrix
from streamkit.matrix.driving import Choice, drive
from streamkit.matrix.markdown import markdown
from streamkit.matrix.plan import Client, Plan, read
from streamkit.matrix.result import Matrix
from streamkit.matrix.rows import Row, Summed

__all__ = [
    "Change", "Choice", "Client", "Matrix", "Plan", "Row", "Summed", "changes", "drive", "load_matrix", "markdown",
    "read",
]  # fmt: skip
