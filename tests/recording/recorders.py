"""What the recording scripts share: environments, servers that end again, and the writing of library cassettes.

A script makes an environment for its server, starts it, and asks it through `RecordingProxy` with real clients. Each
answer becomes `cassettes/recorded/SERVER/NAME.yaml`, and beside it `NAME.expected.json`: what the client had of it, by
plain loops and by the client library's own accumulation, neither of which is streamkit's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from streamkit.transcript import Interaction

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "cassettes" / "recorded"
MOST_BYTES = 8192
_ATTEMPTS = 10

#: What only this machine has, and no cassette may hold.
_LOCAL = re.compile(rb"127\.0\.0\.1|localhost|/home/|/tmp/|/Users/|[A-Z]:\\\\Users", re.IGNORECASE)

View = dict[str, Any]


def arguments(description: str, name: str, **paths: str) -> argparse.Namespace:
    """Return the options that every script has, and further ones that take a path, with their help."""
    parser = argparse.ArgumentParser(description=description.partition("\n\n")[0])
    place = Path(tempfile.gettempdir()) / "streamkit-recording"
    parser.add_argument("--folder", type=Path, default=place, help=f"for environments, models and logs ({place})")
    parser.add_argument("--python", type=Path, help=f"a Python that has {name} already")
    for option, help_text in paths.items():
        parser.add_argument(f"--{option}", type=Path, help=help_text)
    parser.add_argument("--library", type=Path, default=LIBRARY, help="where the cassettes go")
    parser.add_argument("--only", action="append", default=[], help="record only the cassette of this name")
    return parser.parse_args()


def environment(folder: Path, packages: Sequence[str], probe: str) -> Path:
    """Return the Python of an environment in which `probe` can be imported; it is made where it is not there yet."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    check = [str(python), "-c", f"import {probe}"]
    if not python.exists() or subprocess.run(check, capture_output=True, check=False).returncode:
        print(f"making {folder}, with {', '.join(packages)}")
        venv.create(folder, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def versions(python: Path, *packages: str) -> str:
    """Return "package 1.2, other 3.4" as installed for a Python."""
    code = (
        "import sys; from importlib.metadata import version as v; print(', '.join(f'{p} {v(p)}' for p in sys.argv[1:]))"
    )
    done = subprocess.run([str(python), "-c", code, *packages], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def free_port() -> int:
    """Return a port of the loopback on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str],
    url: str,
    log: Path,
    *,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
    within: float = 180,
) -> Iterator[None]:
    """Run a server from when it answers at `url` until the block is left."""
    log.parent.mkdir(parents=True, exist_ok=True)
    held = {**os.environ, **(variables or {})}
    with log.open("wb") as out, subprocess.Popen([*command], stdout=out, stderr=out, env=held, cwd=folder) as server:
        try:
            until = time.monotonic() + within
            while not answers(url):
                if server.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{command[0]} did not start; see {log}")
                time.sleep(0.1)
            yield
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def answers(url: str) -> bool:
    """Say whether something answers there, with whatever status."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - a server of our own
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@dataclass
class Recorder:
    """Records one server's answers, a cassette each.

    Attributes:
        folder: the part of the name that says the server: "llama_cpp_python".
        server: its name and version, "llama-cpp-python 0.3.36".
        upstream: its URL.
        script: the script that records, for the source line.
        neutral: the base URL that the cassettes hold in the place of the upstream.
        library: the folder for `folder`.
        only: names of cassettes; where there are any, others are passed over.
        about: what else the source line says.
        dropped: headers of the answers that are left out, for they hold addresses of this machine.
    """

    folder: str
    server: str
    upstream: str
    script: str
    neutral: str
    library: Path = LIBRARY
    only: Sequence[str] = ()
    about: str = ""
    dropped: Sequence[str] = ()

    def record(
        self,
        name: str,
        ask: Callable[[str], View],
        *,
        error: str = "",
        about: str = "",
        dialect: str | None = None,
        holds: bytes = b"",
    ) -> None:
        """Record one answer and write what the client had of it.

        Args:
            name: of the cassette.
            ask: gets a base URL and returns the client's view.
            error: the error of streamkit that the stream deserves; "" for none.
            about: a further remark for the source line.
            dialect: that of a body that does not show it.
            holds: what must be in the body, or it is not what was to be recorded.
        """
        from streamkit.cassettes import Cassette, dump
        from streamkit.transcript import Ending, Interaction

        if self.only and name not in self.only:
            return
        for _ in range(_ATTEMPTS):  # how far a stream gets that is broken off, differs
            interaction, view = self._asked(name, ask)
            left = interaction.transcript.ending is Ending.CLIENT_CLOSED and "took" not in view  # at once after [DONE]
            if len(interaction.transcript.body) <= MOST_BYTES and not left:
                break
        one, asked = interaction.transcript, interaction.request
        if holds not in one.body:
            raise SystemExit(f"{name}: the body does not hold {holds!r}")
        if len(one.body) > MOST_BYTES:
            raise SystemExit(f"{name}: {len(one.body)} bytes are too many for the library")
        asked = replace(asked, url=self._neutral(asked.url), headers=self._all_neutral(asked.headers))
        one = replace(one, head=replace(one.head, headers=self._all_neutral(one.head.headers)))
        day = datetime.now(UTC).date().isoformat()
        told = "; ".join(
            part for part in (f"sent by {self.server} on {day}", self.about, about,
                              f"recorded by tests/recording/{self.script}; the base URL is a neutral one") if part
        )  # fmt: skip
        one = replace(one, source=told, server=self.server, request=asked, dialect=one.dialect or dialect)
        raw = dump(Cassette((Interaction(asked, one),)))
        local = _LOCAL.search(raw)
        if local:
            raise SystemExit(f"{name}: the cassette holds {local[0]!r}: {raw[local.start() - 80 : local.end() + 40]!r}")
        target = self.library / self.folder / f"{name}.yaml"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(raw)
        expected = {"error": error or None, **view}
        text = json.dumps(expected, ensure_ascii=False, indent=1, sort_keys=True)
        target.with_suffix(".expected.json").write_text(text + "\n", "utf-8")
        print(f"{self.folder}/{name}: {len(one.body)} bytes in {len(one.lengths)} chunks, {one.ending}, {one.dialect}")

    def _asked(self, name: str, ask: Callable[[str], View]) -> tuple[Interaction, View]:
        """Ask once, through the proxy."""
        from streamkit.cassettes import load_cassette
        from streamkit.server import RecordingProxy

        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "one.yaml"
            with RecordingProxy(self.upstream, path, record_mode="rewrite") as proxy:
                view = ask(proxy.url)
            if not path.exists():
                raise SystemExit(f"{name}: nothing was asked; the client: {view['raised']}")
            (interaction,) = load_cassette(path).interactions
        return interaction, view

    def _neutral(self, text: str) -> str:
        return text.replace(self.upstream, self.neutral).replace(urlsplit(self.upstream).netloc, self._host())

    def _all_neutral(self, headers: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        return tuple((name, self._neutral(value)) for name, value in headers if name.lower() not in self.dropped)

    def _host(self) -> str:
        return urlsplit(self.neutral).netloc


def recorder(given: argparse.Namespace, script: str, **facts: Any) -> Recorder:
    """Return a recorder for a script's options."""
    return Recorder(script=Path(script).name, library=given.library, only=given.only, **facts)


def scripted(script: str) -> list[str]:
    """Return a command that runs another script of this folder with the Python of streamkit."""
    return [sys.executable, str(Path(__file__).with_name(script))]
