"""The errors of these parsers: a caller can expect them, and they say who is to blame."""

from __future__ import annotations

__all__ = ["BrokenStream", "CutOff", "Refused"]


class BrokenStream(Exception):  # noqa: N818 - the root of what follows
    """The stream is not what the API sends."""


class CutOff(BrokenStream):
    """The stream ended before the answer did."""


class Refused(BrokenStream):
    """The provider reports an error."""
