"""The benchmarks ask each client in a process of its own, check what it read, and render what was kept."""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path

import anyio
import pytest
from benchmarks import _clients, import_time, recovery, stream_overhead
from benchmarks._bench import RESULTS, load, source
from benchmarks._clients import BY_HAND, CLIENTS, PEERS, Client, Worker, workers

FOUND = {client.name: client for client in CLIENTS}
OTHERS = [client for client in CLIENTS if client.package]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", [BY_HAND, "headrace"])
def test_a_worker_reads_every_word_of_every_format(name: str, backend: str) -> None:
    words = hashlib.sha1("".join(f" token{i}" for i in range(20)).encode()).hexdigest()
    client = FOUND[name]
    with source() as port, Worker(client, backend) as worker:
        for shape in client.shapes:
            url = f"http://127.0.0.1:{port}/{shape}/n-20/per-3/gap-0"
            answer = worker.ask(program=client.program(shape), url=url, patience=20)
            assert (answer.get("pieces"), answer.get("sha1")) == (20, words), answer
            assert answer["cpu_us"] > 0


def test_an_exception_in_a_worker_is_told_and_the_next_job_is_done() -> None:
    client = FOUND[BY_HAND]
    with source() as port, Worker(client) as worker:
        url = f"http://127.0.0.1:{port}/openai/n-4/per-1/gap-0"
        assert worker.ask(program="openai", url="http://127.0.0.1:1", patience=5)["error"] == "ConnectError"
        assert worker.ask(program="openai", url=url, patience=20)["pieces"] == 4


def test_a_worker_that_dies_is_told_and_not_waited_for() -> None:
    with Worker(Client("nobody", "nobody", ("openai",))) as worker:
        answer = worker.ask(program="openai", url="", patience=1)
    assert answer["error"] == "died"
    assert "No module named benchmarks.peers.nobody" in answer["says"]


def test_a_peer_that_cannot_be_installed_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_clients, "VENVS", tmp_path)
    monkeypatch.setattr(_clients, "UV", tmp_path / "no-uv")
    skipped: dict[str, str] = {}
    gone = Client("a peer", "openai", ("openai",), "openai")
    with workers([gone], "asyncio", skipped) as ring:
        assert not ring
    assert "no-uv" in skipped["a peer"]
    assert f"skipped: {skipped['a peer']}" in capsys.readouterr().out


def test_a_measurement_of_chunks_compares_with_the_loop_by_hand_and_renders() -> None:
    data = stream_overhead.measure(rounds=1, chunks=5, shapes=("openai",), backends=("trio",), names=["headrace"])
    assert {row["client"] for row in data["rows"]} == {BY_HAND, "headrace"}
    assert all(row["pieces"] == [5] and row["same_text"] for row in data["rows"])
    assert {row["ratio"] for row in data["rows"] if row["client"] == BY_HAND} == {1.0}
    page = stream_overhead.section(data)
    assert "| openai | trio | headrace | " in page
    assert "all were the same, in as many pieces as were sent (5 an answer)" in page


def test_lost_words_and_grouped_pieces_are_said_in_the_section() -> None:
    row = {"us": 1.0, "ratio": 1.0, "arrival": "as fast as it comes"}
    rows = [
        {**row, "client": "a thief", "pieces": [4], "same_text": False},
        {**row, "client": "a grouper", "pieces": [2, 3], "same_text": True},
        {**row, "client": "bytes", "pieces": [0], "same_text": False},
    ]
    said = stream_overhead.checked({"chunks": 5, "rows": rows})
    assert "other words: a thief;" in said
    assert said.endswith("another number of pieces than were sent: a grouper.")


@pytest.mark.parametrize(
    ("name", "program", "how"),
    [
        (BY_HAND, "openai", "visible"),
        ("headrace", "openai quiet", "visible"),
        ("headrace", "openai", "raised"),
        ("headrace", "openai whole", "raised"),
    ],
    ids=["by-hand", "quiet", "raising", "whole"],
)
def test_a_worker_tells_how_a_broken_answer_ends_and_what_is_in_hand(name: str, program: str, how: str) -> None:
    row = recovery.Row("openai", name, FOUND[name], program)
    with Worker(row.client) as worker:
        found = anyio.run(recovery.at_once, row, worker, "ended early", range(2))
        good = anyio.run(recovery.at_once, row, worker, "no fault", range(1))
    assert [(way, sent == held > 0) for way, sent, held in found] == [(how, True)] * 2
    assert [way for way, _, _ in good] == ["whole"]


def test_an_answer_that_differs_and_looks_whole_is_silent() -> None:
    def judged(ended: bool, words: str) -> recovery.Found:
        return recovery.judged({"how": "returned", "ended": ended, "words": words}, "one two three", "one two")

    assert judged(ended=True, words="one two") == ("silent", 7, 7)
    assert judged(ended=False, words="one") == ("visible", 7, 3)
    assert judged(ended=True, words="one two three") == ("whole", 7, 7)


def test_an_import_is_measured_once_a_round_and_only_where_there_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    peers = [
        Client(f"a peer{n}", "ours_aiohttp", ("openai",), "httpx-aiohttp", line)
        for n, line in enumerate(["", "", "import json"])
    ]
    monkeypatch.setattr(import_time, "CLIENTS", peers)
    monkeypatch.setattr(import_time, "python", lambda _: Path(sys.executable))
    data = import_time.measure(rounds=1)
    assert [row["line"] for row in data["rows"]] == [*import_time.OURS, "import json"]
    assert all(row["ms"] > 0 for row in data["rows"])
    assert next(row["ratio"] for row in data["rows"] if row["line"] == import_time.GROUND) == 1
    assert "| `import json` | " in import_time.section(data)


# ---------------------------------------------------------------- what is kept


def test_every_peer_has_its_program_and_its_pins() -> None:
    assert {path.stem for path in PEERS.glob("*.txt")} == {client.module for client in OTHERS}
    programs = {path.stem for path in PEERS.glob("*.py")} - {"__init__", "_worker"}
    assert programs == {client.module for client in CLIENTS}


@pytest.mark.parametrize("client", OTHERS, ids=lambda client: client.module)
def test_the_pins_of_a_peer_are_whole_and_without_us(client: Client) -> None:
    pins = _clients.pins(client)
    assert {client.package, "trio", "anyio"} <= set(pins)
    assert "headrace" not in pins
    assert "headrace" not in client.line


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_what_was_measured_renders(path: Path) -> None:
    module = importlib.import_module(f"benchmarks.{path.stem}")
    page = module.section(load(path.stem))
    assert "| --- |" in page
    assert load(path.stem)["machine"] in page
