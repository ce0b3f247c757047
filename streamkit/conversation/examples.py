"""Two functions to try a conversation with; those of the bundled conversations.

streamkit chat --cassette conversations/weather_in_boston
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from streamkit.conversation.functions import Functions

__all__ = ["count_string", "functions", "get_current_weather"]

functions = Functions()


@functions.add
def count_string(
    string_to_count: Annotated[str, Field(description="The string whose characters you want to count.")],
) -> str:
    """Counts the number of characters in a string."""
    return str(len(string_to_count))


@functions.add(description="Get the current weather in a given location")
def get_current_weather(
    location: Annotated[str, Field(description="The city and state, e.g. San Francisco, CA")],
    unit: Literal["celsius", "fahrenheit"] = "celsius",
) -> dict[str, str | int]:
    """Return the weather: always the same, for it is an example."""
    return {"location": location, "temperature": 22 if unit == "celsius" else 72, "unit": unit, "sky": "clear"}
