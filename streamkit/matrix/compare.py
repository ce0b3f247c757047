"""What has changed since an earlier matrix: the cells that a client's new version has mended or broken."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamkit.errors import UsageError
from streamkit.fuzz.mutating import OUTCOMES
from streamkit.matrix.cells import BAD
from streamkit.matrix.plan import PLAIN

if TYPE_CHECKING:
    from streamkit.matrix.result import Matrix

__all__ = ["Change", "changes", "load_matrix"]


@dataclass(frozen=True)
class Change:
    """A cell that is not what it was.

    Attributes:
        client: its name.
        name: of the mutation, or "recorded" or "cuts".
        before, after: the outcomes.
        token: repeats it as it is now; "" where there is nothing to repeat.
        versions: the client's, before and after.
    """

    client: str
    name: str
    before: str
    after: str
    token: str = ""
    versions: tuple[str, str] = ("", "")

    @property
    def broken(self) -> bool:
        """Whether it is worse now, and wrong."""
        return self.after in BAD and OUTCOMES.index(self.after) > OUTCOMES.index(self.before)

    @property
    def mended(self) -> bool:
        """Whether it was wrong and is not any more."""
        return self.before in BAD and self.after not in BAD

    def __str__(self) -> str:
        told = "broken" if self.broken else "mended" if self.mended else "changed"
        old, new = self.versions
        since = f" ({old} -> {new})" if old != new else ""
        again = f"; {self.token}" if self.broken else ""
        return f"{told}: {self.client}{since}: {self.name}: {self.before} -> {self.after}{again}"


def load_matrix(path: str | Path) -> dict[str, Any]:
    """Return the JSON of an earlier matrix.

    Raises:
        UsageError: the file cannot be read, or is none.
    """
    file = Path(path)
    try:
        found = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{file} is no JSON: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("clients"), list):
        raise UsageError(f"{file} is no matrix: write one with `streamkit matrix FILE --json {file}`")
    if found.get("format") != 1:
        raise UsageError(f"{file} has format {found.get('format')!r}, and this version of streamkit reads 1")
    return found


def changes(old: dict[str, Any], new: Matrix) -> list[Change]:
    """Return the cells that were tried then and now with another outcome, in the order of the new matrix."""
    earlier = {one.get("client"): one for one in old["clients"]}
    found = []
    for row in new.rows:
        if row.name not in earlier:
            continue
        was = earlier[row.name]
        before = {**{name: was.get(name, {}) for name in PLAIN}, **was.get("mutations", {})}
        for name, _, cell in row.everything():
            then, now = before.get(name, {}).get("outcome"), cell.worst.outcome
            if then in OUTCOMES and now in OUTCOMES and then != now:
                found.append(Change(row.name, name, then, now, cell.worst.token, (was.get("version", ""), row.version)))
    return found
