"""Cassettes: files of interactions, and the library of those that travel with streamkit.

The format is VCR's version 1, in YAML, which stock vcrpy and pytest-recording load unchanged; what a stream needs
beyond it stands in `response.streamkit`.
"""

from __future__ import annotations

from streamkit.cassettes.format import Cassette, load_cassette
from streamkit.cassettes.library import bundled, find, load, names
from streamkit.cassettes.writing import dump

__all__ = ["Cassette", "bundled", "dump", "find", "load", "load_cassette", "names"]
