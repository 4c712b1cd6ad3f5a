"""The command line: what it prints, and that Ctrl-C is a good end."""

from __future__ import annotations

import signal
import subprocess
import sys

import httpx
import pytest

from headrace.__main__ import main
from headrace.simulator import faults


def test_list_faults_names_every_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--list-faults"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.partition(";")[0] for line in lines[::2]} == {*faults.FAULTS, "framing"}
    assert "cut-fin; after_events=3; after_pieces=None; at_byte=None" in lines


def test_an_unknown_fault_is_exit_code_2_and_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--fault", "nonsense"]) == 2
    assert capsys.readouterr().err.startswith("headrace sim: there is no fault 'nonsense'; there are: cut-fin, ")


def test_an_address_that_cannot_be_bound_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--host", "192.0.2.1"]) == 1  # TEST-NET-1: nobody's
    assert capsys.readouterr().err.startswith("headrace sim: 192.0.2.1:0: ")


def test_no_subcommand_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([])
    assert exit_.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process alone")
def test_it_serves_logs_and_stops_with_exit_code_0_on_ctrl_c(backend: str) -> None:
    command = [sys.executable, "-W", "error", "-m", "headrace", "sim", "--backend", backend, "--pace", "0"]
    with subprocess.Popen(
        [*command, "--fault", "cut-fin; after_events=3"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(8)]
        names = [line.split()[0] for line in told[:5]]
        url = told[1].split()[1]
        assert names == ["anthropic", "openai", "gemini", "grok", "ollama"]
        assert url.endswith("/openai/v1")
        assert told[6].startswith(f"curl -N {url}/chat/completions ")
        body = {"model": "any", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            httpx.post(f"{url}/chat/completions", json=body, headers={"authorization": "Bearer any"}, trust_env=False)
        logged = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert logged.startswith("POST /openai/v1/chat/completions 200 [cut-fin]: cut, 3 events, ")
    assert (process.returncode, out, err) == (0, "", "")
