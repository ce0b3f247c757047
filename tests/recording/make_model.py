"""Write a model with random weights: `python make_model.py PATH JSON`, where the `gguf` package is installed.

The JSON holds the further arguments of `llama_cpp_server.make_model`.
"""

from __future__ import annotations

import json
import sys

from llama_cpp_server import make_model

if __name__ == "__main__":
    make_model(sys.argv[1], **json.loads(sys.argv[2]))
