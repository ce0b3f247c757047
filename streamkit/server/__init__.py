"""Real sockets: a replay server, and a proxy that records, for clients in any language."""

from __future__ import annotations
