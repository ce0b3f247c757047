"""A conversation with functions, streamed: content and calls together, retries, usage; sync and async.

    conversation = Conversation(openai.OpenAI(), "gpt-4o", functions=[get_weather])
    messages = [{"role": "user", "content": "What is the weather like in Boston?"}]
    for text in conversation.get_response(messages):
        print(text, end="", flush=True)

It is the code that people write around a stream, whole: what the streams of the other rooms are there to test.
"""

from __future__ import annotations

from streamkit.conversation.core import Round
from streamkit.conversation.drivers import Answer, AsyncAnswer, AsyncConversation, Conversation
from streamkit.conversation.functions import Function, Functions
from streamkit.conversation.outcome import Outcome, Status
from streamkit.conversation.retrying import Backoff
from streamkit.conversation.steps import Call, Retry

__all__ = [
    "Answer",
    "AsyncAnswer",
    "AsyncConversation",
    "Backoff",
    "Call",
    "Conversation",
    "Function",
    "Functions",
    "Outcome",
    "Retry",
    "Round",
    "Status",
]
