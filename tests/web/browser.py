"""A headless chromium, steered over its DevTools protocol."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from websockets.asyncio.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")


def executable() -> str:
    """Where it is; the test is skipped without one, or fails where one is required."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None and "HEADRACE_REQUIRE_BROWSER" in os.environ:
        pytest.fail(f"HEADRACE_REQUIRE_BROWSER is set, and there is none of {', '.join(NAMES)}")
    if found is None:
        pytest.skip(f"needs a browser: there is none of {', '.join(NAMES)}")
    return found


class Page:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0
        self.session = ""

    async def send(self, method: str, **params: object) -> dict[str, object]:
        """Do it, and give its result."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        await self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(await self._socket.recv())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    async def run(self, script: str) -> object:
        """The value of a script."""
        answer = await self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")  # type: ignore[attr-defined]

    async def until(self, script: str) -> None:
        """Wait until it is true."""
        with anyio.fail_after(20):
            while not await self.run(script):
                await anyio.sleep(0.02)


@asynccontextmanager
async def page(url: str, profile: Path) -> AsyncIterator[Page]:
    """A tab at this address; the browser goes with it."""
    command = [
        executable(),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        "about:blank",
    ]
    process = await anyio.open_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = profile / "DevToolsActivePort"
        with anyio.fail_after(30):
            while not (address.exists() and len(address.read_text().split()) == 2):
                await anyio.sleep(0.05)
        port, path = address.read_text().split()
        async with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as socket:
            tab = Page(socket)
            target = (await tab.send("Target.createTarget", url=url))["targetId"]
            tab.session = str((await tab.send("Target.attachToTarget", targetId=target, flatten=True))["sessionId"])
            await tab.until(f"location.href.startsWith({url!r}) && document.readyState == 'complete'")
            yield tab
    finally:
        process.terminate()
        await process.wait()
