"""A client of bare sockets: what it reports is what came over the wire, chunk by chunk."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import anyio
import anyio.abc

from headrace.simulator import Simulator

MESSAGES = [{"role": "user", "content": "What is a headrace?"}]
KEYS = {
    "anthropic": {"x-api-key": "any", "anthropic-version": "2023-06-01"},
    "openai": {"authorization": "Bearer any"},
    "gemini": {"x-goog-api-key": "any"},
    "grok": {"authorization": "Bearer any"},
    "ollama": {},
}
VENDORS = tuple(KEYS)


def request(vendor: str, *, stream: bool = True) -> tuple[str, dict[str, object]]:
    """The path, after what base_url() ends in, and the body of a question to that vendor."""
    match vendor:
        case "anthropic":
            return "/v1/messages", {"model": "m", "max_tokens": 9, "stream": stream, "messages": MESSAGES}
        case "gemini":
            method = "streamGenerateContent?alt=sse" if stream else "generateContent"
            return f"/v1beta/models/m:{method}", {
                "contents": [{"role": "user", "parts": [{"text": "What is a headrace?"}]}]
            }
        case "ollama":
            return "/api/chat", {"model": "m", "stream": stream, "messages": MESSAGES}
        case _:
            return "/chat/completions", {"model": "m", "stream": stream, "messages": MESSAGES}


@dataclass
class Answer:
    """`end` is "complete" as HTTP says, "fin" or "rst" before that."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    end: str = "complete"

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def events(self) -> list[bytes]:
        """The complete events of an LF stream."""
        end = b"\n" if self.headers.get("content-type") == "application/x-ndjson" else b"\n\n"
        return [event + end for event in self.body.split(end)[:-1]]


class Client:
    """One connection."""

    def __init__(self, socket: anyio.abc.SocketStream) -> None:
        self.socket, self._data = socket, b""

    async def send(self, head: str, body: bytes = b"") -> None:
        await self.socket.send(head.replace("\n", "\r\n").encode() + body)

    async def ask(
        self,
        sim: Simulator,
        vendor: str,
        *,
        stream: bool = True,
        headers: dict[str, str] | None = None,
        method: str = "POST",
        path: str | None = None,
        body: bytes | None = None,
    ) -> None:
        """Send a question. `path` and `body` in place of the usual ones."""
        usual, content = request(vendor, stream=stream)
        prefix = sim.base_url(vendor).removeprefix(sim.url)
        data = json.dumps(content).encode() if body is None else body
        told = {**KEYS[vendor], **(headers or {}), "host": "sim", "content-length": str(len(data))}
        lines = "".join(f"{name}: {value}\n" for name, value in told.items())
        await self.send(f"{method} {prefix}{usual if path is None else path} HTTP/1.1\n{lines}\n", data)

    async def line(self) -> bytes:
        while b"\r\n" not in self._data:
            self._data += await self.socket.receive()
        line, _, self._data = self._data.partition(b"\r\n")
        return line

    async def exactly(self, count: int) -> bytes:
        while len(self._data) < count:
            self._data += await self.socket.receive()
        data, self._data = self._data[:count], self._data[count:]
        return data

    async def head(self) -> Answer:
        answer = Answer(status=int((await self.line()).split()[1]))
        while line := await self.line():
            name, _, value = line.decode().partition(": ")
            answer.headers[name.lower()] = value
        return answer

    async def chunk(self) -> bytes:
        """The next HTTP chunk; b"" is the last."""
        size = int(await self.line(), 16)
        return (await self.exactly(size + 2))[:-2]

    async def read(self) -> Answer:
        """One answer, to its end or as far as it comes."""
        answer = Answer()
        try:
            answer = await self.head()
            if "content-length" in answer.headers:
                missing = int(answer.headers["content-length"])
                while missing > len(self._data):
                    answer.chunks.append(self._data)
                    missing -= len(self._data)
                    self._data = b""
                    self._data = await self.socket.receive()
                answer.chunks.append(await self.exactly(missing))
            else:
                while chunk := await self.chunk():
                    answer.chunks.append(chunk)
        except anyio.EndOfStream:
            answer.end = "fin"
        except anyio.BrokenResourceError:
            answer.end = "rst"
        return answer


async def connect(sim: Simulator) -> Client:
    return Client(await anyio.connect_tcp("127.0.0.1", sim.port))


async def fetch(
    sim: Simulator,
    vendor: str,
    *,
    fault: str | None = None,
    stream: bool = True,
    headers: dict[str, str] | None = None,
    method: str = "POST",
    path: str | None = None,
    body: bytes | None = None,
) -> Answer:
    """One answer on a connection of its own."""
    client = await connect(sim)
    async with client.socket:
        extra = {"x-headrace-fault": fault} if fault is not None else {}
        await client.ask(
            sim, vendor, stream=stream, headers={**extra, **(headers or {})}, method=method, path=path, body=body
        )
        return await client.read()


async def post(sim: Simulator, vendor: str, path: str, **fields: object) -> Answer:
    """The answer to a JSON body of these fields."""
    return await fetch(sim, vendor, path=path, body=json.dumps(fields).encode())


async def get(sim: Simulator, vendor: str, path: str) -> Answer:
    """The answer to a question without a body."""
    return await fetch(sim, vendor, method="GET", path=path, body=b"")


def payloads(answer: Answer) -> list[dict[str, object]]:
    """The JSON of every event."""
    lines = [line for line in answer.body.decode().splitlines() if line.startswith("data: {")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]
