from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest
from skhelpers import planted

from streamkit.errors import TargetError
from streamkit.fuzz.runner import Runner
from streamkit.fuzz.targets import adapt

CHUNKS = [b"a", b"", b"bc"]


def run(target: Any) -> Any:
    with Runner(adapt(target)) as runner:
        outcome = runner.run(list(CHUNKS))
    assert "" == outcome.error, outcome.message
    return outcome.value


def test_a_function_gets_an_iterator_that_runs_once() -> None:
    def twice(chunks: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
        return list(chunks), list(chunks)

    assert [[b"a", b"", b"bc"], []] == run(twice)


def test_a_generator_function_is_drained() -> None:
    def pieces(chunks: Iterable[bytes]) -> Iterator[int]:
        for chunk in chunks:
            yield len(chunk)

    assert [1, 0, 2] == run(pieces)


def test_an_async_function_gets_an_async_iterator() -> None:
    async def joined(chunks: AsyncIterator[bytes]) -> bytes:
        return b"".join([chunk async for chunk in chunks])

    assert b"abc" == run(joined)


def test_an_async_generator_function_is_drained() -> None:
    async def pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[int]:
        async for chunk in chunks:
            yield len(chunk)

    assert [1, 0, 2] == run(pieces)


def test_a_function_that_returns_a_coroutine_is_awaited() -> None:
    async def inner(chunks: Iterable[bytes]) -> bytes:
        return b"".join(chunks)

    assert b"abc" == run(lambda chunks: inner(chunks))


def test_a_partial_of_an_async_function_is_async() -> None:
    async def joined(separator: bytes, chunks: AsyncIterator[bytes]) -> bytes:
        return separator.join([chunk async for chunk in chunks])

    target = adapt(functools.partial(joined, b"-"))
    assert "async function" == target.kind
    assert b"a--bc" == run(functools.partial(joined, b"-"))


def test_a_callable_object_is_a_function() -> None:
    class Parser:
        def __call__(self, chunks: Iterable[bytes]) -> int:
            return len(list(chunks))

    assert 3 == run(Parser())


class Events:
    def feed(self, data: bytes) -> list[bytes]:
        return [data] if data else []

    def close(self) -> list[str]:
        return ["end"]


class Results(Events):
    def result(self) -> str:
        return "result"


class Text:
    def feed(self, data: bytes) -> str:
        return data.decode()


class Maybe:
    def feed(self, data: bytes) -> dict[str, int] | None:
        return {"size": len(data)} if data else None


def test_a_feed_class_gives_its_events_in_one_list() -> None:
    assert [b"a", b"bc", "end"] == run(Events)


def test_a_result_method_goes_before_the_events() -> None:
    assert "result" == run(Results)


def test_text_that_feed_returns_is_one_text() -> None:
    assert "abc" == run(Text)


def test_a_single_object_that_feed_returns_is_an_event() -> None:
    assert [{"size": 1}, {"size": 2}] == run(Maybe)


def test_a_function_without_arguments_makes_the_parser() -> None:
    assert "result" == run(lambda: Results())


def test_each_delivery_gets_a_new_parser() -> None:
    with Runner(adapt(Events)) as runner:
        assert runner.run([b"x"]).value == runner.run([b"x"]).value == [b"x", "end"]


def test_a_text_names_a_module_and_an_attribute() -> None:
    target = adapt("skhelpers.planted:Right")
    assert ("skhelpers.planted:Right", True, "feed class") == (target.name, target.importable, target.kind)


def test_an_importable_object_is_named_so_that_it_can_be_imported() -> None:
    assert ("skhelpers.planted:right_function", True) == (
        adapt(planted.right_function).name,
        adapt(planted.right_function).importable,
    )
    assert not adapt(lambda chunks: 1).importable


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("skhelpers.planted", "write module:attribute"),
        ("skhelpers/planted.py:Right", "write the module's name, not its file: skhelpers.planted:Right"),
        ("no_such_module_here:x", "there is no module 'no_such_module_here'"),
        ("skhelpers.planted:right_functoin", "did you mean right_function"),
        ("skhelpers.planted:BROKEN", "cannot be called"),
        (3, "cannot be called"),
        (Events(), "Give its class, not an object"),
        (object, "the class has no feed"),
        (lambda a, b: 1, "it must take one argument"),
        (type("Needy", (Events,), {"__init__": lambda self, x: None}), "the class needs arguments"),
    ],
)
def test_what_fits_no_adapter_is_an_error_that_says_why(target: object, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        adapt(target)
    assert message in str(caught.value)


@pytest.mark.parametrize("make", [lambda: 3, lambda: object()])
def test_a_factory_that_makes_no_parser_is_an_error_at_the_first_delivery(make: object) -> None:
    with Runner(adapt(make)) as runner, pytest.raises(TargetError, match="without feed"):
        runner.run([b"x"])


def test_an_async_feed_is_an_error_that_says_what_to_write() -> None:
    class Async:
        async def feed(self, data: bytes) -> None: ...

    with Runner(adapt(Async)) as runner, pytest.raises(TargetError, match="give an async function"):
        runner.run([b"x"])


def test_a_module_that_raises_when_imported_is_an_error_that_names_it(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "raises_on_import.py").write_text("raise RuntimeError('no')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TargetError, match="importing raises_on_import raised RuntimeError: no"):
        adapt("raises_on_import:x")
