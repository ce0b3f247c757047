"""Print the versions of packages of the environment that this runs in: `python _version.py langchain-openai openai`."""

from __future__ import annotations

import sys
from importlib.metadata import version

first, *below = sys.argv[1:]
print(version(first) + (f" ({', '.join(f'{name} {version(name)}' for name in below)})" if below else ""))
