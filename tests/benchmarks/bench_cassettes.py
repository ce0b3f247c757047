"""Loading and saving cassettes: streamkit's loader and writer beside vcrpy's, on the same files.

vcrpy reads and writes through `vcr.serialize`, with its own YAML serializer: libyaml where PyYAML has it, as ours. Both
read what streamkit wrote, so that both see the same YAML. Nothing but the reading of the file is on the disk: a save
is measured up to its bytes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from measure import Table, interleaved

from streamkit.cassettes.format import Cassette, load_cassette
from streamkit.cassettes.library import bundled_folder
from streamkit.cassettes.writing import dump
from streamkit.transcript import Chunk, Interaction, Request, ResponseHead, Transcript

#: Bytes of the generated cassettes.
SIZES = (2**20, 10 * 2**20)
_EVENT = (
    'data: {"id":"chatcmpl-%06d","object":"chat.completion.chunk","created":1767225600,"model":"synthetic",'
    '"choices":[{"index":0,"delta":{"content":" word é %d"},"finish_reason":null}]}\n\n'
)
_EVENTS = 250  # a transcript, about 50 KB


def generated(size: int) -> Cassette:
    """Return a synthetic cassette of about `size` bytes: streams of 250 events, each event a chunk of its own."""
    interactions: list[Interaction] = []
    made = 0
    while made < size:
        number = len(interactions)
        lines = [(_EVENT % (number, place)).encode() for place in range(_EVENTS)] + [b"data: [DONE]\n\n"]
        headers = (("content-type", "application/json"),)
        body = b'{"model":"synthetic","stream":true,"messages":[{"role":"user","content":"%d"}]}' % number
        request = Request("POST", "https://api.example.test/v1/chat/completions", headers, body)
        transcript = Transcript.from_chunks(
            [Chunk(line, 7 * place) for place, line in enumerate(lines)],
            head=ResponseHead(), dialect="openai_chat", synthetic=True, request=request,
        )  # fmt: skip
        interactions.append(Interaction(request, transcript))
        made += len(transcript.body)
    return Cassette(tuple(interactions))


def vcrpy_load(path: Path) -> tuple[list[Any], list[Any]]:
    """Return what vcrpy reads in a cassette: requests and responses."""
    from vcr.persisters.filesystem import FilesystemPersister
    from vcr.serializers import yamlserializer

    found = FilesystemPersister.load_cassette(str(path), yamlserializer)
    return found[0], found[1]


def vcrpy_dump(requests: list[Any], responses: list[Any]) -> str:
    """Return what vcrpy writes for them."""
    from vcr.serialize import serialize
    from vcr.serializers import yamlserializer

    text: str = serialize({"requests": requests, "responses": responses}, yamlserializer)
    return text


def agree(path: Path) -> bool:
    """Whether both read the same bodies in a cassette."""
    ours = [transcript.body for transcript in load_cassette(path).transcripts]
    return ours == [response["body"]["string"] for response in vcrpy_load(path)[1]]


def tables(rounds: int, sizes: tuple[int, ...] = SIZES) -> list[Table]:
    """Measure loading and saving.

    Args:
        rounds: how often each is measured.
        sizes: of the generated cassettes, in bytes.
    """
    columns = ("streamkit, ms", "vcrpy, ms")
    load = Table("Loading cassettes", columns)
    save = Table("Saving cassettes, up to the bytes", columns)
    notes = [f"PyYAML {yaml.__version__}, {'with' if yaml.__with_libyaml__ else 'without'} libyaml"]
    try:
        import vcr
    except ImportError:
        notes.append("vcrpy is not installed: it is missing here")
        peer = False
    else:
        notes.append(f"vcrpy {vcr.__version__}")
        peer = True
    load.notes += notes
    save.notes += [*notes, "streamkit reads what it wrote once more, to be sure that every body survives"]
    with tempfile.TemporaryDirectory() as folder:
        bundled = sorted(bundled_folder().rglob("*.yaml"))
        _measure(load, save, f"the {len(bundled)} bundled cassettes", bundled, rounds, peer=peer)
        for size in sizes:
            path = Path(folder) / f"{size}.yaml"
            path.write_bytes(dump(generated(size)))
            _measure(load, save, f"one of {path.stat().st_size / 2**20:.1f} MB", [path], rounds, peer=peer)
    return [load, save]


def _measure(load: Table, save: Table, name: str, paths: list[Path], rounds: int, *, peer: bool) -> None:
    """Add the rows and ratios of some cassettes."""
    reading: dict[str, Callable[[], object]] = {"streamkit": lambda: [load_cassette(path) for path in paths]}
    read = [load_cassette(path) for path in paths]
    writing: dict[str, Callable[[], object]] = {"streamkit": lambda: [dump(one) for one in read]}
    if peer:
        theirs = [vcrpy_load(path) for path in paths]
        reading["vcrpy"] = lambda: list(map(vcrpy_load, paths))
        writing["vcrpy"] = lambda: [vcrpy_dump(*one) for one in theirs]
    for table, subjects in ((load, reading), (save, writing)):
        seconds = interleaved(subjects, rounds)
        table.rows[name] = [1000 * seconds[one] if one in seconds else None for one in ("streamkit", "vcrpy")]
        if peer:
            table.ratios[f"{name}: streamkit / vcrpy"] = seconds["streamkit"] / seconds["vcrpy"]
