"""Conversations over a real openai client, sync and async: the drivers of the core.

The client makes the requests, with its key, its timeouts and its transport; the bytes of the answer are read here,
because the reader knows whether a stream ended properly. The client's own retries are off: it would retry only what
fails before the first byte.
"""

from __future__ import annotations

import inspect
from collections.abc import MutableSequence
from contextlib import AsyncExitStack, ExitStack, aclosing, closing, suppress
from typing import TYPE_CHECKING, Any

from streamkit.conversation import running, steps
from streamkit.conversation.apis import api_of
from streamkit.conversation.core import Plan, converse, summed
from streamkit.conversation.functions import Function, Functions
from streamkit.conversation.retrying import Backoff
from streamkit.errors import UsageError
from streamkit.replay.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Sequence

    from streamkit.conversation.core import Round
    from streamkit.conversation.outcome import Outcome
    from streamkit.replay.clock import Clock

__all__ = ["Answer", "AsyncAnswer", "AsyncConversation", "Conversation"]

_OURS = ("stream", "messages", "input", "functions")


class _Settings:
    """What both kinds of conversation are made of."""

    def __init__(
        self,
        client: Any,
        model: str,
        *,
        functions: Functions | Iterable[Callable[..., Any] | Function] | None = None,
        api: str = "chat",
        legacy: bool = False,
        max_rounds: int = 8,
        backoff: Backoff | None = None,
        time_limit: float | None = None,
        together: bool = True,
        clock: Clock | None = None,
        on_call: Callable[[steps.Call], Any] | None = None,
        on_result: Callable[[Outcome], Any] | None = None,
        on_retry: Callable[[steps.Retry], Any] | None = None,
        on_restart: Callable[[], Any] | None = None,
        **options: Any,
    ) -> None:
        is_async = any(one.__name__ == "AsyncAPIClient" for one in type(client).__mro__)
        if is_async != isinstance(self, AsyncConversation):
            raise UsageError(f"{type(client).__name__} is for {'Async' if is_async else ''}Conversation")
        if max_rounds < 1:
            raise UsageError(f"max_rounds is {max_rounds}: at least one request is made")
        wrong = [name for name in _OURS if name in options]
        if wrong or options.get("n", 1) != 1:
            raise UsageError(f"{wrong[0] if wrong else 'n'} is no option here: a conversation sets it")
        self.functions = Functions.of(functions)
        self._plan = Plan(
            api_of(api, legacy=legacy),
            self.functions,
            {"model": model, **options},
            max_rounds,
            Backoff() if backoff is None else backoff,
            on_restart is not None,
        )
        self._resource = self._plan.api.resource(client.with_options(max_retries=0))
        self._time_limit = time_limit
        self._together = together
        self._clock: Clock = SystemClock() if clock is None else clock
        self._on_call = on_call
        self._on_result = on_result
        self._on_retry = on_retry
        self._on_restart = on_restart

    def _start(self, messages: list[Any], rounds: list[Round]) -> _Core:
        if not isinstance(messages, MutableSequence):
            raise UsageError(f"messages is a {type(messages).__name__}: give a list, which the conversation adds to")
        return _Core(converse(self._plan, messages, rounds))

    def _open(self, step: steps.Open) -> Any:
        return self._resource.with_streaming_response.create(**step.parameters, stream=True)

    def _told(self, step: steps.Step) -> Iterator[Any]:
        """Tell those who watch, and yield what their functions return."""
        if isinstance(step, steps.Run) and self._on_call is not None:
            yield from map(self._on_call, step.calls)
        elif isinstance(step, steps.Returned) and self._on_result is not None:
            yield from map(self._on_result, step.outcomes)
        elif isinstance(step, steps.Retry) and self._on_retry is not None:
            yield self._on_retry(step)
        elif isinstance(step, steps.Restart) and self._on_restart is not None:
            yield self._on_restart()


class Conversation(_Settings):
    """A conversation with functions over a real `openai.OpenAI` client, of version 3 or 2.

    Args:
        client: the client.
        model: the model's name.
        functions: typed Python functions, or `Functions`.
        api: "chat" for Chat Completions, "responses" for Responses.
        legacy: send `functions` and not `tools`, for servers that know no other; of chat only.
        max_rounds: how many requests are made for one answer at most.
        backoff: how often a failed request is made again, and how long is waited before.
        time_limit: seconds that a function may take; None for no limit.
        together: the calls of one answer are made at once; else one after the other.
        clock: what waits before a retry; a `VirtualClock` needs no real time.
        on_call: is called with each `Call` before it is made.
        on_result: is called with each `Outcome`.
        on_retry: is called with each `Retry` before the wait.
        on_restart: is called when what was given out of this round is void, for the answer to a retry is another one.
            Without it that is an AnswerChangedError.
        options: further parameters of each request, such as `temperature` or `stream_options`; `tools` for those that
            the provider runs itself.

    Attributes:
        functions: the functions.

    Raises:
        UsageError: an argument cannot be used.
    """

    def get_response(self, messages: list[Any]) -> Answer:
        """Return the answer to messages: an iterator of its text, as it comes.

        Functions that the model calls are called, and it is asked again with their outcomes, until it answers without a
        call. `messages` grows by each round that is finished; where one fails it is as it was before that round.

        Args:
            messages: of the API: Chat Completions messages, or input items of Responses.

        Raises:
            ConversationError: from within the iteration: too many rounds, all retries failed, or a retry that answers
                otherwise, or calls that must not be made.
            DialectError: the answer is no stream of this API, or reports an error that does not pass.
            openai.APIError: what the client raised, where no retry helps.
        """
        return Answer(self, messages)

    def call_function(self, name: str, arguments: str) -> Outcome:
        """Call a function as a model would, within the time limit, and return the outcome; see `Functions`."""
        return self.functions.call_function(name, arguments, time_limit=self._time_limit)

    def _play(self, messages: list[Any], rounds: list[Round]) -> Generator[str]:
        with closing(self._start(messages, rounds)) as core, ExitStack() as stack:
            body: Iterator[bytes] = iter(())
            step = core.begin()
            while step is not None:
                answer: Any = None
                try:
                    match step:
                        case steps.Open():
                            body = stack.enter_context(self._open(step)).iter_bytes()
                        case steps.Read():
                            answer = next(body, None)
                        case steps.Close():
                            with suppress(Exception):  # nothing of it is wanted any more
                                stack.close()
                except Exception as error:  # noqa: BLE001 - the core decides
                    step = core.failed(error)
                    continue
                for _ in self._told(step):
                    pass
                match step:
                    case steps.Give(text):
                        yield text
                    case steps.Wait(seconds):
                        self._clock.sleep(seconds)
                    case steps.Run(calls):
                        answer = running.run_all(self.functions, calls, self._time_limit, together=self._together)
                step = core.go_on(answer)


class AsyncConversation(_Settings):
    """A conversation with functions over a real `openai.AsyncOpenAI` client; see `Conversation`.

    Async functions are awaited, sync ones run in threads of their own. It needs asyncio. What is called on the way
    (`on_restart` and the like) may be async.
    """

    def get_response(self, messages: list[Any]) -> AsyncAnswer:
        """Return the answer to messages: an async iterator of its text; see `Conversation.get_response`."""
        return AsyncAnswer(self, messages)

    async def call_function(self, name: str, arguments: str) -> Outcome:
        """Call a function as a model would, within the time limit, and return the outcome; see `Functions`."""
        return await self.functions.acall_function(name, arguments, time_limit=self._time_limit)

    async def _play(self, messages: list[Any], rounds: list[Round]) -> AsyncIterator[str]:
        async with AsyncExitStack() as stack:
            core = stack.enter_context(closing(self._start(messages, rounds)))
            response = await stack.enter_async_context(AsyncExitStack())
            body: Any = None
            step = core.begin()
            while step is not None:
                answer: Any = None
                try:
                    match step:
                        case steps.Open():
                            opened = await response.enter_async_context(self._open(step))
                            body = await response.enter_async_context(aclosing(opened.iter_bytes()))
                        case steps.Read():
                            answer = await anext(body, None)
                        case steps.Close():
                            with suppress(Exception):
                                await response.aclose()
                except Exception as error:  # noqa: BLE001 - the core decides
                    step = core.failed(error)
                    continue
                for told in self._told(step):
                    if inspect.isawaitable(told):
                        await told
                match step:
                    case steps.Give(text):
                        yield text
                    case steps.Wait(seconds):
                        await self._clock.asleep(seconds)
                    case steps.Run(calls):
                        answer = await running.arun_all(
                            self.functions, calls, self._time_limit, together=self._together
                        )
                step = core.go_on(answer)


class _Core:
    """The core's steps; None after the last."""

    def __init__(self, generator: Generator[steps.Step, Any, None]) -> None:
        self._generator = generator

    def begin(self) -> steps.Step | None:
        return next(self._generator, None)

    def go_on(self, answer: Any) -> steps.Step | None:
        try:
            return self._generator.send(answer)
        except StopIteration:
            return None

    def failed(self, error: Exception) -> steps.Step | None:
        try:
            return self._generator.throw(error)
        except StopIteration:
            return None

    def close(self) -> None:
        self._generator.close()


class _Facts:
    """What is known of an answer, as it comes and afterwards.

    Attributes:
        rounds: those that are finished.
    """

    def __init__(self) -> None:
        self.rounds: list[Round] = []

    @property
    def text(self) -> str:
        """The text of the last round that is finished: once all are, the answer itself."""
        return (self.rounds[-1].completion.content or "") if self.rounds else ""

    @property
    def refusal(self) -> str | None:
        """The refusal's text, or None."""
        choices = self.rounds[-1].completion.choices if self.rounds else ()
        return choices[0].refusal if choices else None

    @property
    def finish_reason(self) -> str | None:
        """The finish reason of the last round: "length" is an answer that was cut off."""
        return self.rounds[-1].completion.finish_reason if self.rounds else None

    @property
    def usage(self) -> dict[str, Any]:
        """The usage of all finished rounds, number by number; {} where the server gave none."""
        return summed([one.completion.usage for one in self.rounds])

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """What became of all calls, in their order."""
        return [made for one in self.rounds for made in one.outcomes]


class Answer(_Facts):
    """An iterator of an answer's text; afterwards, what is known of it.

    It can be left early: `close()`, or the end of a `with` block, ends the request.
    """

    def __init__(self, conversation: Conversation, messages: list[Any]) -> None:
        super().__init__()
        self._pieces = conversation._play(messages, self.rounds)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def read(self) -> str:
        """Read to the end and return the text of the answer."""
        for _ in self:
            pass
        return self.text

    def close(self) -> None:
        """End the request; the messages are as they were before the round that it ends."""
        self._pieces.close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncAnswer(_Facts):
    """An async iterator of an answer's text; see `Answer`."""

    def __init__(self, conversation: AsyncConversation, messages: list[Any]) -> None:
        super().__init__()
        self._pieces: Any = conversation._play(messages, self.rounds)

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        piece: str = await anext(self._pieces)
        return piece

    async def read(self) -> str:
        """Read to the end and return the text of the answer."""
        async for _ in self:
            pass
        return self.text

    async def aclose(self) -> None:
        """End the request; the messages are as they were before the round that it ends."""
        await self._pieces.aclose()

    async def __aenter__(self) -> AsyncAnswer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
