"""Where the client libraries are met: vcrpy's own places, with streams instead of whole bodies.

vcrpy patches the transports; these patches go on top of its own, by its own setting for custom patches, and are undone
with them. A client that is not named here is left to vcrpy.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamkit.replay.stream_cassette import StreamCassette

__all__ = ["patches"]

Patch = tuple[Any, str, Any]


def patches(cassette: StreamCassette) -> list[Patch]:
    """Return (object, attribute, replacement) for each library that is installed and not skipped."""
    from streamkit.replay import intercept_httpx, intercept_urllib3

    skipped = set(cassette.skip_patchers)
    found: list[Patch] = []
    if not {"requests", "urllib3", "httplib"} <= skipped:
        found += intercept_urllib3.patches(cassette)
    for name in ("httpx", "httpx2"):
        if name not in skipped:
            found += intercept_httpx.patches(cassette, name)
    if "aiohttp" not in skipped and find_spec("aiohttp") is not None:
        from streamkit.replay import intercept_aiohttp

        found += intercept_aiohttp.patches(cassette)
    return found
