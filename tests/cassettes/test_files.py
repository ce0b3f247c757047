"""Files of cassettes: whole or not at all, inside their folder, one writer at a time, never larger than is sensible."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.cassettes import names
from streamkit.cassettes.files import file_name, inside, read_file, write_atomic, writer_lock
from streamkit.errors import CassetteFormatError, CassetteLockedError, LimitError, UsageError


def held(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.yaml"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert (b"new", ["a.yaml"]) == (path.read_bytes(), held(path.parent))


def test_what_a_killed_writer_left_is_no_cassette_and_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".a.yaml.x1.part"
    other = tmp_path / ".b.yaml.x1.part"
    for path in (left, other):
        path.write_bytes(b"half")
    assert [] == [name for name in names(folder=tmp_path) if "part" in name or name.startswith(".")]
    write_atomic(tmp_path / "a.yaml", b"whole")
    assert (False, True) == (left.exists(), other.exists())


def test_a_name_with_signs_of_a_pattern_sweeps_its_own_leavings_only(tmp_path: Path) -> None:
    for name in (".t[a].yaml.x.part", ".ta.yaml.x.part"):
        (tmp_path / name).write_bytes(b"half")
    write_atomic(tmp_path / "t[a].yaml", b"whole")
    assert {".ta.yaml.x.part", "t[a].yaml"} == set(held(tmp_path))


def test_a_link_stays_a_link_and_permissions_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_bytes(b"old")
    real.chmod(0o600)
    link.symlink_to(real)
    write_atomic(link, b"new")
    assert (True, b"new", 0o600) == (link.is_symlink(), real.read_bytes(), real.stat().st_mode & 0o777)


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CassetteFormatError, match=r"a\.yaml: cannot be written: No space left on device"):
        write_atomic(path, b"new")
    assert (b"old", ["a.yaml"]) == (path.read_bytes(), held(tmp_path))


def test_a_file_past_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"12345")
    assert b"12345" == read_file(path, limit=5)
    with pytest.raises(LimitError, match="larger than 4 bytes"):
        read_file(path, limit=4)


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/../../b", "/etc/a", "a/../b", "a\0b"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no cassette name"):
        inside(tmp_path, name)


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    (folder / "link").symlink_to(other)
    with pytest.raises(UsageError, match="through a link"):
        inside(folder, "link/a")
    assert folder / "a" / "b.yaml" == inside(folder, "a/b")
    assert folder / "b.yaml" == inside(folder, "b.yaml")


@given(st.text(max_size=200), st.text(max_size=200))
def test_every_text_has_a_file_name_of_its_own(one: str, other: str) -> None:
    """Invariant: a name is a plain file name, and two texts never share one."""
    name = file_name(one)
    assert name == Path(name).name
    assert 0 < len(name.encode()) <= 140
    assert name not in (".", "..")
    assert one == other or name != file_name(other)


def test_a_second_writer_waits_and_then_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    program = (
        "import sys; from pathlib import Path; from streamkit.cassettes.files import writer_lock\n"
        "with writer_lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert b"held\n" == other.stdout.readline()
        with (
            pytest.raises(CassetteLockedError, match=r"a\.yaml: another writer has held this cassette"),
            writer_lock(path, timeout=0.05),
        ):
            pass
        other.communicate()
    with writer_lock(path, timeout=5.0):
        assert [] == held(tmp_path)
