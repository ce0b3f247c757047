"""Files of cassettes: never half written, never lost, never recorded over when broken, and inside their folder."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from skhelpers.recording import BODY, CLIENTS, PIECES, Call, chat_server
from skhelpers.server import Answer, Seen

import streamkit
from streamkit.cassettes import files, load_cassette, names
from streamkit.errors import CassetteFormatError, CassetteLockedError, UsageError

MODES = ("none", "once", "new_episodes", "all", "rewrite")
ROOT = Path(__file__).resolve().parents[2]


def ask(url: str, text: str = "a") -> bytes:
    return CLIENTS["requests"](url, Call(content=json.dumps({"text": text}).encode())).body


# -- broken files


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("interactions:\n- request: {method: GET\nversion: 1\n", 3),
        ("interactions:\n- request: {method: GET, uri: http://a}\n  response: {}\nversion: 1\n", 3),
        ("version: 1\n", 1),
        ("", 1),
        ("interactions: []\nversion: 7\n", 2),
    ],
)
def test_a_broken_cassette_is_an_error_and_stays_as_it_is(mode: str, text: str, line: int, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(text, "utf-8")
    with (
        chat_server() as server,
        pytest.raises(CassetteFormatError) as caught,
        streamkit.use_cassette(path, record_mode=mode),
    ):
        ask(server.url)
    assert str(path) == caught.value.path
    assert line == caught.value.line
    assert text == path.read_text("utf-8")
    assert [] == server.seen


# -- names


@pytest.mark.parametrize("name", ["../one", "a/../../one", "/tmp/one", "", "a\0b", ".."])  # noqa: S108 - refused
def test_a_name_cannot_leave_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        streamkit.use_cassette(name, folder=tmp_path)


def test_a_link_does_not_lead_out_of_the_folder_either(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(UsageError, match="through a link"):
        streamkit.use_cassette("link/one", folder=tmp_path / "inside")


def test_a_path_that_leads_upwards_is_refused_as_text_and_taken_as_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a" / ".." / "one.yaml"
    with pytest.raises(UsageError, match="leads upwards"):
        streamkit.use_cassette(str(path))
    with chat_server() as server, streamkit.use_cassette(path):
        ask(server.url)
    assert (tmp_path / "one.yaml").exists()


# -- writing


def test_a_lock_that_another_writer_holds_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one.yaml"
    patient = files.writer_lock
    monkeypatch.setattr(files, "writer_lock", partial(patient, timeout=0.05))
    with (
        chat_server() as server,
        patient(path),
        pytest.raises(CassetteLockedError, match=r"0\.05 seconds"),
        streamkit.use_cassette(path),
    ):
        ask(server.url)
    assert not path.exists()


def test_a_folder_that_cannot_be_written_is_an_error_after_the_test_ran(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", "utf-8")
    done = False
    with (
        chat_server() as server,
        pytest.raises(CassetteFormatError, match="cannot be written"),
        streamkit.use_cassette(tmp_path / "file" / "one.yaml"),
    ):
        done = BODY == ask(server.url)
    assert done


def test_the_callers_own_failure_is_not_hidden_by_one_of_writing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", "utf-8")
    with (
        chat_server() as server,
        pytest.raises(ZeroDivisionError),
        streamkit.use_cassette(tmp_path / "file" / "one.yaml"),
    ):
        assert 1 / len(ask(server.url)[:0])


def test_nothing_is_left_beside_the_cassette_and_its_permissions_stay(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    with chat_server() as server:
        for mode in ("once", "all"):
            with streamkit.use_cassette(path, record_mode=mode):
                ask(server.url)
            assert (0o644 if mode == "once" else 0o600) == path.stat().st_mode & 0o777
            path.chmod(0o600)
    assert ["one.yaml"] == [found.name for found in tmp_path.iterdir()]


# -- other processes

WRITER = """
import os, random, signal, sys, time
from pathlib import Path
import requests
import streamkit
from streamkit.cassettes import load_cassette, names

url, path, task = sys.argv[1], Path(sys.argv[2]), sys.argv[3]

def record(mode, texts):
    with streamkit.use_cassette(path, record_mode=mode):
        for text in texts:
            requests.post(url, json={"text": text}, timeout=5)

def child(work):
    number = os.fork()
    if number == 0:
        try:
            work()
        finally:
            os._exit(0)
    return number

def kill():
    record("new_episodes", ["a", "b"])  # plays them; every module is loaded before the first fork
    chance = random.Random(7)
    for round in range(20):
        mode = ("all", "rewrite")[round % 2]
        reader, writer = os.pipe()
        def work():
            while True:
                record(mode, ["a", "b"])
                os.write(writer, b".")
        number = child(work)
        os.read(reader, 1)  # it has recorded once
        time.sleep(chance.uniform(0, 0.03))
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
        os.close(reader), os.close(writer)
        found = [one.transcript.body for one in load_cassette(path).interactions]
        assert len(found) == 2 and all(len(body) == int(sys.argv[4]) for body in found), found
        listed = [name for name in names(folder=path.parent) if "/" not in name]  # beside the bundled ones
        assert listed == ["one"], listed
    print("survived")

def together():
    def work(name):
        for number in range(4):
            record("new_episodes", [f"{name}{number}"])
    for number in [child(lambda: work("a")), child(lambda: work("b"))]:
        os.waitpid(number, 0)

{"kill": kill, "together": together}[task]()
"""


def run(url: str, path: Path, task: str, size: int = 0) -> str:
    arguments = [sys.executable, "-c", WRITER, url, str(path), task, str(size)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout


needs_fork = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")


@needs_fork
def test_a_recorder_that_is_killed_leaves_the_old_cassette_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    with chat_server(Answer(PIECES, at_once=True)) as server:
        with streamkit.use_cassette(path):
            ask(server.url, "a")
            ask(server.url, "b")
        assert "survived\n" == run(server.url, path, "kill", len(BODY))
        with streamkit.use_cassette(path, record_mode="all"):
            ask(server.url, "a")
    assert ["one.yaml"] == [found.name for found in tmp_path.iterdir()], "the next writer sweeps"


@needs_fork
def test_two_processes_that_record_to_one_cassette_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"

    def answer(seen: Seen) -> Answer:
        return Answer([b"data: " + json.loads(seen.body)["text"].encode() + b"\n\n", b"data: [DONE]\n\n"])

    with chat_server(answer) as server:
        run(server.url, path, "together")
    found = {json.loads(one.request.body)["text"]: one.transcript.body for one in load_cassette(path).interactions}
    assert {f"{name}{number}" for name in "ab" for number in range(4)} == set(found)
    assert all(text.encode() in body for text, body in found.items())


def test_a_part_of_a_file_is_no_cassette(tmp_path: Path) -> None:
    (tmp_path / ".one.yaml.abc.part").write_text("interactions:\n- requ", "utf-8")
    assert [] == [name for name in names(folder=tmp_path) if "one" in name]
    with chat_server() as server, streamkit.use_cassette("one", folder=tmp_path):
        ask(server.url)
    assert ["one.yaml"] == [found.name for found in tmp_path.iterdir()]
