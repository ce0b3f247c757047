from __future__ import annotations

import pickle

import pytest

from streamkit.errors import (
    CassetteFormatError,
    CassetteNotFoundError,
    LimitError,
    PayloadError,
    ProviderError,
    StreamkitError,
)


@pytest.mark.parametrize(
    "error",
    [
        CassetteNotFoundError("x", nearest=["y"]),
        CassetteFormatError("x.yaml", "broken", line=3),
        LimitError("too large", limit=5),
        ProviderError("boom", code=500, payload={"a": 1}),
        PayloadError("no JSON"),
    ],
)
def test_an_error_passes_whole_from_one_process_to_another(error: StreamkitError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(error), str(error), vars(error)) == (type(again), str(again), vars(again))
