"""The modules that hold the catalogue's entries, in the order in which their subjects build on each other."""

from __future__ import annotations

from importlib import import_module

__all__ = ["MODULES"]

_NAMES = (
    "framing",
    "frames",
    "ends",
    "jsontext",
    "faults",
    "chat",
    "chat_placement",
    "chat_text",
    "chat_json",
    "chat_calls",
    "chat_arguments",
    "chat_choices",
    "chat_ends",
    "chat_faults",
    "chat_added",
    "chat_echo",
    "spoken_text",
    "openai_responses",
    "openai_responses_variants",
    "openai_responses_faults",
    "anthropic_messages",
    "anthropic_variants",
    "anthropic_added",
    "anthropic_faults",
    "bedrock_converse",
    "bedrock_converse_added",
    "bedrock_converse_faults",
    "cohere_v2",
    "gemini",
    "gemini_added",
    "gemini_faults",
    "ollama",
    "openai_completions",
    "other_added",
)

MODULES = tuple(import_module(f"streamkit.mutations.{name}") for name in _NAMES)
