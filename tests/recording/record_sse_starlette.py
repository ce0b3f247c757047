"""Record an application on sse-starlette, behind uvicorn. One command, from nothing:

python tests/recording/record_sse_starlette.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from recorders import arguments, environment, free_port, recorder, running, versions
from views import openai_chat

#: The way that the application frames its answer (`starlette_app.py`), and the error that the stream deserves.
WAYS = {
    "crlf": "",
    "cr": "",
    "lf": "",
    "mixed_line_ends": "",
    "ids_and_retry": "",
    "comments": "",
    "many_data_lines": "",
    "pings": "",
    "calls": "",
    "exception_in_text": "TruncatedStreamError",
    "exception_in_call": "TruncatedStreamError",
    "error_event": "ProviderError",
}


def main() -> int:
    """Do it; return an exit code."""
    given = arguments(__doc__ or "", "sse-starlette and uvicorn")
    place = given.folder / "sse_starlette"
    python = given.python or environment(place, ("sse-starlette", "uvicorn", "starlette"), "sse_starlette, uvicorn")
    upstream = f"http://127.0.0.1:{free_port()}"
    command = [
        str(python), "-m", "uvicorn", "starlette_app:app", "--app-dir", str(Path(__file__).parent),
        "--host", "127.0.0.1", "--port", upstream.rpartition(":")[2],
    ]  # fmt: skip
    record = recorder(
        given, __file__, folder="sse_starlette", server=versions(python, "sse-starlette"), upstream=upstream,
        neutral="http://sse-starlette.test",
        about=f"on {versions(python, 'uvicorn', 'starlette')}, for an application that scripts the payloads "
        "(tests/recording/starlette_app.py)",
    )  # fmt: skip
    with running(command, upstream, given.folder / "sse_starlette.log"):
        for way, error in WAYS.items():
            record.record(way, lambda url, way=way: openai_chat(url, {"model": way}), error=error)  # type: ignore[misc]
    return 0


if __name__ == "__main__":
    sys.exit(main())
