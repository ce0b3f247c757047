"""Planted bugs in the bytes and the framing of chat streams."""

from __future__ import annotations

from .chat_parser import ChatParser
from .planting import Planted

__all__ = ["PLANTED"]

_CALL = "openai_chat/boston_weather"


class KeepsTheByteOrderMark(ChatParser):
    """Takes the byte order mark for the beginning of the first field's name, so that the first event is lost."""

    def without_mark(self, head: bytes) -> bytes:
        return head


PLANTED = (Planted(KeepsTheByteOrderMark, "bom", _CALL),)
