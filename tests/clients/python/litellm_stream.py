"""litellm: `completion(stream=True)`, the chunks put together by its own `stream_chunk_builder`.

Of what is built, the choices and the counts of tokens are reported; it takes further fields from the clock and from its
table of prices. The counts are litellm's own where the stream has none.
"""

from __future__ import annotations

import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # otherwise it fetches its table of prices when it is imported

import litellm
from _driver import KEY, TIMEOUT, Case, answer, serve

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
    if built is None:
        return answer()
    counts = {name: built.usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    return answer(*built.choices, usage=counts)


serve(drive)
