"""The benchmark of start-up: what it asks of fresh processes, they answer."""

from __future__ import annotations

from pathlib import Path

from bench_startup import COMMANDS, PLUGINS, imported, tables


def test_the_plugin_loads_at_most_three_modules_of_streamkit_and_nothing_else(tmp_path: Path) -> None:
    assert imported("streamkit.pytest_plugin", str(tmp_path))[1] <= 3


def test_every_plugin_and_command_has_a_row() -> None:
    plugins, commands = tables(1)
    assert set(PLUGINS) == set(plugins.rows)
    assert set(COMMANDS) == set(commands.rows)
    missing = [name for name, row in plugins.rows.items() if row[0] is None]
    assert len(missing) == len(plugins.notes)
    assert "streamkit" not in missing
    assert all(row[0] and row[0] > 0 for row in commands.rows.values())
