"""The bytes of a cassette that is written again and again: what has not changed since is not rendered anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.cassettes.writing import joined
from streamkit.errors import StreamkitError
from streamkit.replay import conversion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamkit.cassettes.redaction import Redactor

__all__ = ["Rendered"]


class Rendered:
    """Renders interactions of vcrpy's, each once.

    Args:
        redactor: removes secrets; None for no redaction. When it comes to know another, all are rendered anew.

    Attributes:
        failed: why some were left out of the last file.
    """

    def __init__(self, redactor: Redactor | None) -> None:
        self._redactor = redactor
        self._knows = 0
        self.failed: list[StreamkitError] = []
        self._texts: dict[int, tuple[Any, bytes]] = {}  # by the response's identity, which it keeps from ending

    def file_bytes(self, pairs: Sequence[tuple[Any, Any]], *, new: int) -> bytes:
        """Return the bytes of a cassette file.

        Args:
            pairs: its requests and responses.
            new: how many of them, at the end, no file holds yet. One that cannot be rendered is left out: it must not
                keep the others from being written.

        Raises:
            CassetteError: one that a file holds already cannot be rendered.
        """
        knows = self._redactor.knows if self._redactor is not None else 0
        if knows != self._knows:
            self._texts, self._knows = {}, knows
        self.failed = []
        texts = {}
        for number, (request, response) in enumerate(pairs):
            try:
                texts[id(response)] = self._texts.get(id(response)) or (response, self._text(request, response))
            except StreamkitError as error:
                if number < len(pairs) - new:
                    raise
                self.failed.append(error)
        self._texts = texts
        return joined([text for _, text in texts.values()])

    def _text(self, request: Any, response: Any) -> bytes:
        if self._redactor is not None:
            request, response = conversion.redacted(self._redactor, request, response)
        return conversion.file_bytes({"requests": [request], "responses": [response]})
