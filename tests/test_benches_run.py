"""Every bench, as small as it can be: it comes to its end, and its own checks let it print what it prints."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
import pytest

# By bench: its arguments, what of it is less here, and how many rows it prints.
SMALL: Mapping[str, tuple[Sequence[str], Mapping[str, object], int]] = {
    "console": (
        ["--events=400", "--requests=2", "--work=200", "--rounds=1"],
        {"VIEWERS": 2, "FRAMES": 1, "LIVE_SECONDS": 1, "addresses": lambda _: {"/dead": ["/dead", "/"]}},
        2,
    ),
    "drain": (
        ["--events=200", "--batch-sizes=50", "--history=100", "--only=two workers,ceiling,everything: ceiling"],
        {},
        3,
    ),
    "hostile": ([], {"CONNECTIONS": 20, "ATTACK_SECONDS": 1.0}, 3),
    "ingest": (["--requests=90"], {"WARM_UP": 20, "LONE_EVENTS": 1}, 5),
    "lookups": (["--events=6000"], {"ROUNDS": 2, "DRAINED": 200, "PAIRS": 1}, 13),
    "migrate": (["--profiles=200", "--reader-seconds=1"], {"SLICE_SECONDS": 1}, 5),
    "path": ([], {"REQUESTS": 20, "PASSES": 1}, 6),
    "plans": ([], {"EVENTS": 100, "SIZES": {"small": (200, 10), "large": (2000, 100)}}, 31),
    "rebuild": (["--events=400"], {}, 8),
    "reconcile": (["--users=200"], {}, 3),
    "recovery": (["--events=400"], {"SLICE_SECONDS": 1}, 3),
    "soak": (["--events=2000"], {"SLICE": 100}, 11),
    "startup": ([], {"STARTS": 1}, 2),
    "statements": ([], {"BATCHES": 2, "BATCH_SIZE": 50, "HISTORIES": (0, 100)}, 12),
    "tenants": (["--profiles=400", "--companies=20", "--rounds=20"], {}, 11),
}
# What a figure can't exceed however slow the machine is.
MOST = {"console": {"transactions a frame": 100, "transactions a frame, 2 viewers / one": 10}}
# `tests/test_bench.py` and `tests/test_sizing.py` run them small, piece by piece.
ELSEWHERE = {"compare", "sizes"}


def test_no_bench_is_left_out() -> None:
    files = (Path(__file__).parents[1] / "bench").glob("*.py")

    assert {file.stem for file in files if "\ndef main(" in file.read_text()} == {*SMALL, *ELSEWHERE}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_run_prints_figures(
    name: str, server_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, less, rows = SMALL[name]
    bench = importlib.import_module(f"bench.{name}")
    for attribute, value in less.items():
        monkeypatch.setattr(bench, attribute, value)
    server = [] if name == "path" else ["--database-url", server_url]
    monkeypatch.setattr(sys, "argv", [name, *arguments, *server, "--json"])

    bench.main()

    document = orjson.loads(capsys.readouterr().out)
    assert len(document["rows"]) == rows
    for figure, most in MOST.get(name, {}).items():
        assert 0 < document[figure] <= most
