"""The drivers of public clients, and the files that say how they are installed and started."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import streamkit
from clients.install import ENVIRONMENTS, Environment, InstallError, is_made, main, make, plan, read_pins
from streamkit.case import Case
from streamkit.server import ReplayServer
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamkit.server import Offer
    from streamkit.transcript import Transcript

HERE = Path(__file__).parent
CLIENTS = tomllib.loads((HERE / "clients.toml").read_text("utf-8"))["client"]
PINS = read_pins()

#: The name and the arguments of the first call in one transcript of each dialect.
CALLS = {
    "openai_chat": ("openai_chat/boston_weather", "get_current_weather", {"location": "Boston"}),
    "openai_responses": ("openai_responses/synthetic_text_and_call", "get_weather", {"city": "São Paulo"}),
    "anthropic_messages": ("anthropic_messages/synthetic_text_and_call", "get_weather", {"city": "São Paulo"}),
}

every_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client["name"])


def environment_of(client: dict[str, Any]) -> str | None:
    """Return the environment that a client's driver needs, or None where it is a program of the machine."""
    program, script = client["command"].split()
    if program.startswith(".environments/"):
        return str(program.split("/")[1])
    loaded = re.findall(r'load\("([^"]+)"', (HERE / script).read_text("utf-8"))
    return str(loaded[0]) if loaded else None


def needed(client: dict[str, Any]) -> None:
    """Skip the test where the client is not there: none of them comes with the tests' own requirements."""
    name = environment_of(client)
    if name is not None and not is_made(PINS[name]):
        pytest.skip(f"not among the fast tests: first run python tests/clients/install.py {name}")
    for program in {"bash": ("bash", "curl", "jq"), "node": ("node",)}.get(client["command"].split()[0], ()):
        if shutil.which(program) is None:
            pytest.skip(f"not among the fast tests: there is no {program} on this machine")


@contextmanager
def running(command: list[str], cwd: Path = HERE) -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    """Start a driver; yields what asks it one case. At the end it must stop by itself, and have said nothing more."""
    with subprocess.Popen(
        command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        give, take = process.stdin, process.stdout

        def ask(case: dict[str, Any]) -> dict[str, Any]:
            give.write(json.dumps(case) + "\n")
            give.flush()
            line = take.readline()
            assert line, process.communicate(timeout=10)[1]
            answer = json.loads(line)
            assert isinstance(answer, dict)
            return answer

        try:
            yield ask
            rest, _ = process.communicate(timeout=20)
        finally:
            process.kill()
        assert ("", 0) == (rest, process.returncode)


def case_of(number: int, offer: Offer, transcript: Transcript) -> dict[str, Any]:
    body = transcript.request.body if transcript.request is not None else b""
    return {
        "id": number,
        "url": offer.url,
        "base_url": offer.base_url,
        "dialect": transcript.dialect,
        "request": json.loads(body or b"{}"),
    }


def first_call(result: dict[str, Any]) -> tuple[str, Any]:
    """Return the name and the arguments of the first call of a result, in any of the shapes that drivers report."""
    if "choices" in result:
        call = result["choices"][0]["message"]["tool_calls"][0]["function"]
        name, arguments = call["name"], call["arguments"]
    elif "output" in result:
        call = next(item for item in result["output"] if item["type"] == "function_call")
        name, arguments = call["name"], call["arguments"]
    else:
        call = next(block for block in result["content"] if block["type"] == "tool_use")
        name, arguments = call["name"], call["input"]
    return name, json.loads(arguments) if isinstance(arguments, str) else arguments


# -- With the clients


@every_client
def test_a_client_reports_the_call_whole_in_single_bytes_and_in_four_pieces(client: dict[str, Any]) -> None:
    needed(client)
    name, function, arguments = CALLS[client["dialect"]]
    transcript = streamkit.load(name)
    end = len(transcript.body)
    four = Fragmentation.at(end // 7, end // 2 + 1, end - 9)
    deliveries = [Fragmentation.whole(), Fragmentation.drip(transcript.body), four]
    with ReplayServer([transcript]) as server, running(client["command"].split()) as ask:
        answers = []
        for number, fragmentation in enumerate(deliveries):
            with server.offer(Case(transcript, fragmentation), dialect=client["dialect"]) as offer:
                answers.append(ask(case_of(number, offer, transcript)))
                assert 1 == len(offer.requests)
    assert [0, 1, 2] == [answer.pop("id") for answer in answers]
    assert [(function, arguments)] * 3 == [first_call(answer["result"]) for answer in answers]
    assert [answers[0]] * 3 == answers


@every_client
def test_a_client_tells_a_refused_request_as_an_error_asks_once_and_goes_on(client: dict[str, Any]) -> None:
    needed(client)
    name, function, arguments = CALLS[client["dialect"]]
    transcript = streamkit.load(name)
    with ReplayServer([transcript]) as server, running(client["command"].split()) as ask:
        with server.offer(transcript, how="status=503", dialect=client["dialect"]) as offer:
            refused = ask(case_of(4, offer, transcript))
            assert 1 == len(offer.requests)
        with server.offer(transcript, dialect=client["dialect"]) as offer:
            answered = ask(case_of(5, offer, transcript))
    assert {"id", "error"} == refused.keys()
    assert {"type", "message"} == refused["error"].keys()
    assert "" != refused["error"]["type"]
    assert (function, arguments) == first_call(answered["result"])


@pytest.mark.parametrize(
    "client", [one for one in CLIENTS if one["dialect"] == "openai_chat"], ids=lambda one: one["name"]
)
def test_ids_that_a_client_makes_up_are_not_reported(client: dict[str, Any]) -> None:
    """They are others each time, and would look as if the client read the same stream in two ways."""
    needed(client)
    transcript = streamkit.load("openai_chat/boston_weather")
    nameless = re.sub(rb'"id":"[^"]+",', b"", transcript.body)
    assert b'"id"' in transcript.body
    assert b'"id"' not in nameless
    without_ids = replace(transcript, body=nameless, lengths=(), times=())
    with (
        ReplayServer([transcript]) as server,
        server.offer(without_ids, dialect="openai_chat") as offer,
        running(client["command"].split()) as ask,
    ):
        once, twice = (ask(case_of(6, offer, transcript)) for _ in range(2))
    assert once == twice


@every_client
def test_the_version_of_a_client_is_the_one_that_is_pinned(client: dict[str, Any]) -> None:
    needed(client)
    said = subprocess.run(client["version"], cwd=HERE, capture_output=True, text=True, check=True).stdout
    assert 1 == len(said.splitlines())
    name = environment_of(client)
    pinned = re.findall(r"\d+(?:\.\d+)+", " ".join(PINS[name].packages)) if name is not None else [said.split()[0]]
    assert said.split()[0] in pinned


# -- Without them


@every_client
def test_the_files_that_a_client_is_started_with_are_there(client: dict[str, Any]) -> None:
    program, script = client["command"].split()
    assert program in ("node", "bash") or program.startswith(".environments/")
    assert (HERE / script).is_file()
    name = environment_of(client)
    assert (name is None) == (program == "bash")
    assert name is None or name in PINS
    assert client["dialect"] in CALLS


def test_clients_have_names_of_their_own_and_their_transcripts_are_of_their_dialect() -> None:
    assert len(CLIENTS) == len({client["name"] for client in CLIENTS})
    for client in CLIENTS:
        for name in client.get("transcripts", ()):
            assert client["dialect"] == streamkit.load(name).dialect


def test_every_environment_has_a_client_and_every_driver_is_started_by_one() -> None:
    assert set(PINS) == {environment_of(client) for client in CLIENTS} - {None}
    scripts = {client["command"].split()[1] for client in CLIENTS}
    drivers = [*HERE.glob("python/[!_]*.py"), *HERE.glob("node/[!_]*.mjs"), *HERE.glob("shell/*.sh")]
    assert scripts == {driver.relative_to(HERE).as_posix() for driver in drivers}


@pytest.mark.parametrize("environment", PINS.values(), ids=lambda environment: environment.name)
def test_every_package_is_pinned_to_one_version(environment: Environment) -> None:
    exact = {
        "python": r"[A-Za-z][\w.-]*(\[[a-z,]+\])?==\d+(\.\d+)+",
        "node": r"(@[\w-]+/)?[a-z][\w.-]*@\d+\.\d+\.\d+",
    }[environment.kind]
    assert environment.packages
    for package in environment.packages:
        assert re.fullmatch(exact, package)


def test_a_python_environment_is_made_by_venv_and_filled_by_pip(tmp_path: Path) -> None:
    venv, pip = plan(Environment("some", "python", ("one==1.0", "two==2.0")), tmp_path)
    assert [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "some")] == venv
    assert [sys.executable, "-m", "pip", "--python", str(tmp_path / "some"), "install"] == pip[:6]
    assert ["one==1.0", "two==2.0"] == pip[-2:]


def test_a_node_environment_is_made_by_npm_without_a_lock_file_and_without_scripts(tmp_path: Path) -> None:
    (npm,) = plan(Environment("some", "node", ("one@1.0.0",)), tmp_path)
    assert ["npm", "install"] == npm[:2]
    assert {"--no-package-lock", "--ignore-scripts"} <= set(npm)
    assert "one@1.0.0" == npm[-1]


def test_an_environment_is_made_once_and_anew_when_its_pins_change(tmp_path: Path) -> None:
    made = Environment("empty", "python", ())
    # pip refuses to install nothing, so the commands are not run: what is left is what make writes last.
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "made-with.json").write_text(json.dumps(made.made_with), "utf-8")
    assert is_made(made, tmp_path)
    assert not is_made(Environment("empty", "python", ("one==1.0",)), tmp_path)
    assert not is_made(Environment("other", "python", ()), tmp_path)


def test_what_cannot_be_made_says_which_environment_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Environment("some", "python", ("no-such-package-in-no-folder==1.0",))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InstallError, match=r"some: exit status 1 of: .* install .* no-such-package-in-no-folder==1\.0"):
        make(missing, tmp_path)
    assert not is_made(missing, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InstallError, match="other: there is no command 'npm' on the PATH"):
        make(Environment("other", "node", ("one@1.0.0",)), tmp_path)


def test_a_name_that_is_no_environment_is_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["openai4"])
    assert re.search(
        r"no environment is called openai4; there are openai3, .*eventsource-parser", capsys.readouterr().err
    )


def test_environments_are_not_part_of_the_project() -> None:
    ignored = (HERE.parents[1] / ".gitignore").read_text("utf-8").splitlines()
    assert f"{ENVIRONMENTS.name}/" in ignored


PYTHON_DRIVER = """
from _driver import serve

def drive(case):
    print("from a library")
    if case.model == "bad":
        raise LookupError("no such model")
    return {"question": case.question, "tools": [one["function"]["name"] for one in case.tools], "text": "\\ud800"}

serve(drive)
"""
NODE_DRIVER = """
import { serve } from "%s/_driver.mjs";

await serve(async (one) => {
  console.log("from a library");
  if (one.model === "bad") throw new RangeError("no such model");
  return { question: one.question, tools: one.tools.map(({ function: { name } }) => name), text: "\\ud800" };
});
"""
ASKED = {"messages": [{"role": "user", "content": "One?"}, {"role": "user", "content": "Two?"}]}


def spoken(command: list[str], error: str) -> None:
    """Check what a driver that answers with its case, prints, and fails on the model `bad` says."""
    case = {"id": 1, "base_url": "http://127.0.0.1:1/v1", "url": "http://127.0.0.1:1/v1/chat/completions"}
    with running(command, HERE / "python") as ask:
        told = ask(case | {"dialect": "openai_chat", "request": ASKED})
        fixed = ask(case | {"id": 2, "dialect": None, "request": {}})
        failed = ask(case | {"id": "three", "request": {"model": "bad"}})
    assert {"id": 1, "result": {"question": "Two?", "tools": ["get_current_weather"], "text": "\ud800"}} == told
    assert "What is the weather like in Boston?" == fixed["result"]["question"]
    assert {"id": "three", "error": {"type": error, "message": "no such model"}} == failed


def test_a_python_driver_answers_each_case_with_one_line_whatever_is_printed() -> None:
    spoken([sys.executable, "-c", PYTHON_DRIVER], "LookupError")


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")
def test_a_node_driver_answers_each_case_with_one_line_whatever_is_printed() -> None:
    script = NODE_DRIVER % (HERE / "node").as_posix()
    spoken(["node", "--input-type=module", "--eval", script], "RangeError")
