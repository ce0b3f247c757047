"""Commands as targets: drivers in real processes, right ones, wrong ones, and those that break down."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from skhelpers.drivers import (
    AT_100,
    CHUNKWISE_EVENTS,
    CHUNKWISE_UTF8,
    needs_node,
    node,
    pids,
    small,
    still_running,
    tiny,
)

import streamkit
from streamkit.fuzz import Options, Report, command, fuzz
from streamkit.fuzz.command_runner import CommandRunner
from streamkit.transcript import Transcript
from streamkit.wire.fragmentation import Fragmentation

CUTS = Options(max_examples=0, mutations=False)
MULTIBYTE = "openai_chat/synthetic_multibyte_text"


def tried(folder: Path, text: str, transcript: Transcript | str, options: Options = CUTS, **how: Any) -> Report:
    """Fuzz a command that lives in a folder, and see that nothing of it is left."""
    report = fuzz(command(text, cwd=folder, **how), transcript, options=options)
    assert pids(folder)
    assert [] == still_running(pids(folder))
    return report


# -- right and wrong


@needs_node
def test_a_right_driver_has_no_findings(tmp_path: Path) -> None:
    report = tried(tmp_path, node(tmp_path), tiny(), Options(max_examples=20))
    assert [] == report.findings
    assert [] == report.notes
    coverage = report.coverage[0]
    assert coverage.sweepable == coverage.swept == len(tiny().body) - 1
    assert coverage.mutations


@needs_node
def test_a_driver_that_decodes_chunk_by_chunk_is_caught_with_one_cut(tmp_path: Path) -> None:
    report = tried(tmp_path, node(tmp_path, chunks=CHUNKWISE_UTF8), MULTIBYTE)
    (finding,) = report.findings
    assert ("invariance", ["utf8"], 1) == (finding.oracle, finding.boundaries, len(finding.case.fragmentation))
    body = streamkit.load(MULTIBYTE).body
    inside = sum(0x80 <= byte < 0xC0 for byte in body)  # each cut arrives as one, and so all of them fail
    assert {"utf8": inside} == finding.single_cuts


@needs_node
def test_a_driver_that_looks_for_events_chunk_by_chunk_is_caught_with_one_cut(tmp_path: Path) -> None:
    report = tried(tmp_path, node(tmp_path, chunks=CHUNKWISE_EVENTS), small())
    (finding,) = report.findings
    assert ("invariance", 1) == (finding.oracle, len(finding.case.fragmentation))


@needs_node
def test_check_takes_a_command(tmp_path: Path) -> None:
    target = command(node(tmp_path, chunks=CHUNKWISE_UTF8), cwd=tmp_path, workers=1)
    with pytest.raises(streamkit.OracleFailure, match="a cut inside a UTF-8 character changes the result") as failure:
        streamkit.check(target, tiny(), max_examples=0, mutations=False)
    again = f"streamkit.check(streamkit.fuzz.command('node driver.mjs', cwd={str(tmp_path)!r})"
    assert again in str(failure.value)


@needs_node
def test_a_finding_is_repeated_by_its_token(tmp_path: Path) -> None:
    target = command(node(tmp_path, chunks=CHUNKWISE_UTF8), cwd=tmp_path)
    few = Options(max_examples=0, max_single_cuts=40, mutations=False)
    (finding,) = fuzz(target, MULTIBYTE, options=few).findings
    (again,) = fuzz(target, replay=finding.token).findings
    assert finding.headline == again.headline


@needs_node
@pytest.mark.parametrize("planted", [f"if ({AT_100}) process.exit(3);", CHUNKWISE_UTF8], ids=["exit", "utf8"])
def test_the_report_is_the_same_for_any_number_of_workers(planted: str, tmp_path: Path) -> None:
    text = node(tmp_path, chunks=planted)
    options = Options(max_examples=12, dialects=True, faults=True)
    told = []
    for workers in (1, 3):
        report = tried(tmp_path, text, tiny(), options, workers=workers).to_json()
        del report["seconds"]
        told.append(report)
    assert told[0] == told[1]
    assert 4 <= len(pids(tmp_path))


@needs_node
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what a client has not read")
def test_every_chunk_is_read_by_itself(tmp_path: Path) -> None:
    target = command(node(tmp_path, chunks="return chunks.map((chunk) => chunk.length);"), cwd=tmp_path, workers=2)
    assert target.command is not None
    body = tiny().body
    with CommandRunner(target, target.command) as runner:
        runner.take(tiny())
        for cuts in (Fragmentation.whole(), Fragmentation((100,)), Fragmentation((7, 8, 9)), Fragmentation.drip(body)):
            chunks = cuts.chunks(body)
            assert [len(chunk) for chunk in chunks] == runner.run(chunks).value


# -- drivers that break down


@needs_node
@pytest.mark.parametrize(
    ("does", "said", "error", "message"),
    [
        ("console.error('no luck'); process.exit(3);", "exit with status 3", "DriverExit", "standard error: no luck"),
        ("process.kill(process.pid, 'SIGKILL'); await new Promise(() => {});", "be killed by SIGKILL", "DriverExit",
         "killed by SIGKILL; it wrote nothing to standard error"),
        ("process.exit(0);", "exit with status 0", "DriverExit", "it wrote nothing"),
        ("console.log('debug:', chunks.length);", "answer with something that is not JSON", "DriverGarbage",
         "it wrote 'debug: 2"),
        ("console.log('[1]');", "answer with JSON that is not an object", "DriverGarbage", "it wrote '[1]"),
        ("console.log('{}');", "answer with neither a result nor an error", "DriverGarbage", "it wrote '{}"),
        ("console.log(JSON.stringify({ id: id + 1, result: 1 }));", "answer with another id", "DriverGarbage",
         "it wrote"),
        ("process.stdout.write('{\"result\": 1}\\n{\"result\": 2}\\n');", "answer with more than one line",
         "DriverGarbage", "it wrote"),
        ("process.stdout.write(Buffer.from([34, 255, 34, 10]));", "answer with bytes that are not UTF-8",
         "DriverGarbage", "it wrote"),
        ("process.stdout.write('x'.repeat(33 << 20)); await new Promise(() => {});",
         "write more than 32 MiB in one line", "DriverGarbage", "it wrote 'xxx"),
    ],
)  # fmt: skip
def test_what_a_driver_does_instead_of_answering_is_a_finding_and_the_run_goes_on(
    does: str, said: str, error: str, message: str, tmp_path: Path
) -> None:
    report = tried(tmp_path, node(tmp_path, chunks=f"if ({AT_100}) {{ {does} }}"), tiny())
    (finding,) = report.findings
    assert ("invariance", (100,)) == (finding.oracle, finding.case.fragmentation.cuts)
    assert f"makes the target {said}" in finding.headline
    assert error == finding.actual.error
    assert message in finding.actual.message
    assert {"$error": error, "message": finding.actual.message} == finding.to_json()["actual"]
    coverage = report.coverage[0]
    assert coverage.sweepable == coverage.swept
    assert 1 == sum(finding.single_cuts.values())


@needs_node
def test_a_driver_that_hangs_is_killed_with_its_children_and_the_run_goes_on(tmp_path: Path) -> None:
    does = """
      const { spawn } = await import("node:child_process");
      appendFileSync("children", `${spawn("sleep", ["600"], { stdio: "inherit" }).pid}\\n`);
      await new Promise(() => {});
    """
    options = Options(max_examples=0, mutations=False, time_limit=1.0)
    report = tried(tmp_path, node(tmp_path, chunks=f"if ({AT_100}) {{ {does} }}"), tiny(), options)
    (finding,) = report.findings
    assert finding.actual.hung
    assert (100,) == finding.case.fragmentation.cuts
    assert "makes the target hang" in finding.headline
    assert report.coverage[0].sweepable == report.coverage[0].swept
    assert pids(tmp_path, "children")
    assert [] == still_running(pids(tmp_path, "children"))


@needs_node
def test_a_driver_that_breaks_down_all_the_time_is_given_up(tmp_path: Path) -> None:
    report = tried(tmp_path, node(tmp_path, chunks="if (chunks.length === 2) process.exit(1);"), tiny())
    (finding,) = report.findings
    assert 1 == len(finding.case.fragmentation)
    assert "broke down 32 times: the remaining single cuts were not tried" in report.coverage[0].notes[-1]


@needs_node
def test_a_driver_that_breaks_down_on_the_recorded_delivery_is_a_finding_of_its_own(tmp_path: Path) -> None:
    (finding,) = tried(tmp_path, node(tmp_path, chunks="console.error('never'); process.exit(4);"), tiny()).findings
    assert "the recorded delivery makes the target exit with status 4" == finding.headline
    assert "exit status 4; standard error: never" == finding.actual.message


@needs_node
def test_a_banner_on_standard_output_is_a_finding(tmp_path: Path) -> None:
    (finding,) = tried(tmp_path, node(tmp_path, start="console.log('ready');"), tiny()).findings
    assert "DriverGarbage" == finding.actual.error
    assert "it wrote 'ready'" == finding.actual.message


@needs_node
def test_a_flood_on_standard_error_neither_blocks_nor_counts(tmp_path: Path) -> None:
    flood = "process.stderr.write('x'.repeat(1 << 20)); process.stderr.write('end');"
    report = tried(tmp_path, node(tmp_path, chunks=flood), tiny(), Options(max_examples=0, max_single_cuts=20))
    assert [] == report.findings
    assert [f"the driver writes to standard error, beginning {'x' * 60!r}"] == report.notes


@needs_node
def test_a_slip_in_javascript_is_no_typed_error(tmp_path: Path) -> None:
    slips = node(tmp_path, chunks="if (!Buffer.concat(chunks).includes('[DONE]')) undefined.x;")
    report = tried(tmp_path, slips, tiny(), Options(max_examples=0, max_single_cuts=0, only=("truncate",)))
    (finding,) = report.findings
    assert "truncate makes the target fail with TypeError" == finding.headline


# -- what cannot be sent


@needs_node
def test_empty_chunks_are_not_sent_and_the_report_says_so(tmp_path: Path) -> None:
    options = Options(max_examples=5, max_single_cuts=5, empty_chunks=True, mutations=False)
    report = tried(tmp_path, node(tmp_path), tiny(), options)
    assert ["an empty chunk cannot be sent over HTTP: none was delivered"] == report.notes
    assert [] == report.findings


@needs_node
@pytest.mark.parametrize("framing", ["length", "close"])
def test_another_framing_carries_the_same_cuts(framing: str, tmp_path: Path) -> None:
    options = Options(max_examples=0, mutations=False, framing=framing)
    report = tried(tmp_path, node(tmp_path, chunks=CHUNKWISE_UTF8), tiny(), options)
    (finding,) = report.findings
    assert ["utf8"] == finding.boundaries
    assert f"framing {framing}" in report.notes[0]
