"""The context of a cassette: what `use_cassette` returns, and `with`, `async with` and decorators enter."""

from __future__ import annotations

from typing import Any

from vcr.cassette import CassetteContextDecorator

from streamkit.replay.stream_cassette import StreamCassette

__all__ = ["CassetteContext"]


class CassetteContext(CassetteContextDecorator):  # type: ignore[misc]  # vcrpy ships no types
    """Context manager and decorator of a cassette, sync and async; made by `use_cassette`.

    Raises, on leaving:
        CassetteError: what was recorded could not be written.
    """

    _current: StreamCassette | None = None

    def __enter__(self) -> StreamCassette:
        self._current = super().__enter__()
        return self._current

    def __exit__(self, *failure: Any) -> None:
        cassette, self._current = self._current, None
        super().__exit__(*failure)
        if cassette is None:
            return
        cassette.close_streams()
        if cassette.settings.report is not None:
            cassette.settings.report(cassette)
        if cassette.failure is not None and failure[0] is None:
            raise cassette.failure

    def unpatched(self) -> StreamCassette:
        """Return the cassette with no library patched, for what records by other means. It is written by `finish`.

        Raises:
            CassetteFormatError: there is a file and it is broken.
        """
        arguments = {
            key: value for key, value in self._args_getter().items() if key not in self._non_cassette_arguments
        }
        arguments["settings"].patched = False
        cassette: StreamCassette = StreamCassette.load(**arguments)
        return cassette

    async def __aenter__(self) -> StreamCassette:
        return self.__enter__()

    async def __aexit__(self, *failure: Any) -> None:
        if self._current is not None:
            await self._current.aclose_streams()
        self.__exit__(*failure)
