"""litellm: `completion(stream=True)`, the chunks put together by its own `stream_chunk_builder`."""

from __future__ import annotations

import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # otherwise it fetches its table of prices when it is imported

import litellm
from _driver import KEY, TIMEOUT, Case, serve

litellm.telemetry = False
litellm.suppress_debug_info = True


def drive(case: Case) -> Any:
    stream = litellm.completion(
        model=f"openai/{case.model}",
        messages=case.messages,
        tools=case.tools,
        stream=True,
        stream_options={"include_usage": True},
        api_base=case.base_url,
        api_key=KEY,
        timeout=TIMEOUT,
        max_retries=0,
        num_retries=0,
    )
    chunks = list(stream)
    built = litellm.stream_chunk_builder(chunks, messages=case.messages)
    return {"choices": []} if built is None else built


serve(drive)
