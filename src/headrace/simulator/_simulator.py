"""
`Simulator`: who asks what, which script answers, what the buckets say. The book of all exchanges.

`begin()` is the whole decision, without await: a request in, an `Exchange` and the steps of its answer out. The socket
server and the in-memory transport only play them.
"""

from __future__ import annotations

import dataclasses
import json
import random
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, cycle
from types import TracebackType
from typing import TYPE_CHECKING, Final, NoReturn, Self
from urllib.parse import SplitResult, parse_qsl, urlsplit

import anyio

from headrace import _clock

from . import faults
from .answer import answer, json_answer, refusal_answer
from .asked import Asked, fitted
from .buckets import Buckets, Limits
from .exchange import Exchange
from .script import Framing, Script, Tokens
from .seal import Seal
from .server import Server
from .steps import Head, Piece, Step
from .vendors import VENDORS, Vendor
from .vendors._base import NO_MODEL, Refusal, Request, Route, Turn, count_prompt

if TYPE_CHECKING:
    from .transport import SimulatorTransport

__all__ = ("FAULT_HEADER", "Simulator")

FAULT_HEADER: Final = "x-headrace-fault"
BODY_LIMIT: Final = 32 * 2**20  # bytes of a request: Anthropic's 32 MB
_HALVES: Final = re.compile(r"\\u[dD][89abcdefABCDEF]")  # of a pair, escaped: whole pairs are good


class Simulator:
    """
    Five vendors on one local port; an async context manager.

    Args:
        seed: of everything random; equal seeds and equal requests give equal answers.
        host, port: to bind; port 0 is any free one.
        pace: seconds between two events, on average, where a script does not say; 0 is as fast as it goes.
        limits: per vendor; None for a vendor is no limits and no headers. Default: limits too high to be met.
        faults: for requests that no script was queued for, in turn, over and over.
        on_exchange: called when an exchange has ended.

    `transport()` needs no `async with`; `port` and `url` do.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        pace: float = 0.0,
        limits: Mapping[str, Limits | None] | None = None,
        faults: Sequence[faults.Fault | Framing] = (),
        on_exchange: Callable[[Exchange], None] | None = None,
    ) -> None:
        for name in limits or ():
            _vendor(name)
        self._seal = Seal(seed)
        self._seed, self._host, self._wanted_port, self._pace = seed, host, port, pace
        self._limits: dict[str, Limits | None] = {**dict.fromkeys(VENDORS, Limits()), **(limits or {})}
        self._faults = cycle(faults) if faults else None
        self._on_exchange = on_exchange
        self._scripts: defaultdict[str, deque[Script]] = defaultdict(deque)
        self._buckets: dict[str, Buckets | None] = {}
        self._wall_offset: float | None = None
        self._connections = count(1)
        self._server: Server | None = None
        self.exchanges: list[Exchange] = []
        self.connections: int = 0  # opened so far
        self.open_connections: int = 0
        self._all_closed = anyio.Event()

    # ---- the server

    async def __aenter__(self) -> Self:
        if self._server is not None:
            raise RuntimeError("this Simulator is already running: it is entered once")
        self._server = await Server(self, self._host, self._wanted_port).__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.__aexit__(exc_type, exc, tb)  # noqa: ASYNC102  # shielded there

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise RuntimeError("the Simulator is not running: use `async with Simulator() as sim`")
        return self._server.port

    @property
    def url(self) -> str:
        """Its address, without a vendor."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    def base_url(self, vendor: str) -> str:
        """What a client of that vendor takes as its base URL: headrace's, and the vendor's own SDK."""
        return self.url + _vendor(vendor).prefix

    def transport(self) -> SimulatorTransport:
        """The same vendors as an httpx transport, without sockets. Its waits are the loop's: time may be virtual."""
        from .transport import SimulatorTransport

        return SimulatorTransport(self)

    # ---- what is asked of it

    def play(self, vendor: str, *scripts: Script) -> None:
        """Queue scripts for the next requests to that vendor, first in, first out."""
        self._scripts[_vendor(vendor).name].extend(scripts)

    @property
    def requests(self) -> int:
        """How many requests came."""
        return len(self.exchanges)

    async def wait_all_closed(self) -> None:
        """Return when no connection is open."""
        while self.open_connections:
            await self._all_closed.wait()

    # ---- for server and transport

    def opened(self) -> int:
        """A connection was opened: its number."""
        self.connections += 1
        self.open_connections += 1
        return next(self._connections)

    def closed(self) -> None:
        """A connection was closed."""
        self.open_connections -= 1
        if not self.open_connections:
            self._all_closed.set()
            self._all_closed = anyio.Event()

    def begin(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, connection: int
    ) -> tuple[Exchange, Iterator[Step]]:
        """
        One request and what is to be played for it. Never raises for what a client sends.

        Args:
            target: path and query.
            headers: with names in lower case.
            body: the whole of it; more than `BODY_LIMIT` bytes are refused.
            connection: its number, of `opened()`.
        """
        rng = random.Random(f"{self._seed}/{len(self.exchanges)}")
        url = _split(target)
        vendor = next((one for one in VENDORS.values() if url.path.startswith(one.prefix + "/")), None)
        path = url.path.removeprefix(vendor.prefix) if vendor else url.path
        request = Request(method, path, dict(parse_qsl(url.query)), headers, _decoded(body), self._seal)
        exchange = Exchange(
            vendor=vendor.name if vendor else "",
            method=method,
            path=url.path,
            headers=headers,
            body=request.body,
            connection=connection,
        )
        self.exchanges.append(exchange)
        if vendor is None:
            exchange._when_over = self._on_exchange
            return exchange, _nowhere(url.path)
        try:
            return exchange, self._answer(vendor, request, exchange, rng, len(body))
        except Exception as exc:  # noqa: BLE001  # a list for a name, a schema without end: one client's, not the server's end
            told = Refusal(400, message=f"The simulator cannot answer this request: {exc!r}")
            now = self._wall()
            return exchange, refusal_answer(told, vendor, rng, self._told(vendor, now), now)

    def _answer(
        self, vendor: Vendor, request: Request, exchange: Exchange, rng: random.Random, size: int
    ) -> Iterator[Step]:
        now = self._wall()
        exchange._when_over = self._on_exchange

        def refuse(refusal: Refusal) -> Iterator[Step]:
            return refusal_answer(refusal, vendor, rng, self._told(vendor, now), now)

        route = vendor.route(request)
        refusal = self._objection(vendor, request, route, size)
        if refusal is not None or route is None:
            return refuse(refusal or Refusal(404))
        made = route.make(request) if route.make is not None else None
        if isinstance(made, Refusal):
            return refuse(made)
        if route.kind == "free":
            return json_answer(made, vendor, self._told(vendor, now), now)
        try:
            given = faults.parse(request.headers.get(FAULT_HEADER, ""))
            if sum(isinstance(one, faults.Fault) for one in given) > 1:
                raise ValueError("more than one fault: an answer breaks once")
        except ValueError as exc:
            return refuse(Refusal(400, message=f"{FAULT_HEADER}: {exc}"))
        buckets = self._buckets_of(vendor, now)
        prompt = count_prompt(request.body)
        api = route.api or vendor
        most = api.max_tokens(request) if vendor.charging == "most" else 0
        cost = {"requests": 1, "requests_day": 1, "tokens": prompt + most, "input_tokens": prompt}
        denial = buckets.admit(cost, now) if buckets else None
        if denial is not None:
            exact, dimension, limit = vendor.tells_ms, denial.dimension, denial.limit
            return refuse(Refusal(429, wait=denial.wait, wait_ms=exact, dimension=dimension, limit=limit))
        asked = Asked() if route.make is not None else api.asked(request)
        exchange.script = script = fitted(self._script(vendor, given), asked, rng)
        turn = Turn(request, route, script, rng, now, made=made, asked=asked)
        if buckets is not None:
            bill = _Bill(self, buckets, turn.tokens, prompt, late=vendor.charging == "produced")
            exchange._when_sent, exchange._when_over = bill.sent, bill.over
        stream = route.make is None and api.wants_stream(request, route)
        return answer(turn, vendor, self._told(vendor, now), stream=stream, pace=self._pace)

    def _objection(self, vendor: Vendor, request: Request, route: Route | None, size: int) -> Refusal | None:
        if route is None:
            return Refusal(404, message=f"There is nothing at {request.path}.")
        if request.method not in route.methods:
            return Refusal(405)
        if not vendor.has_key(request.headers):
            return Refusal(401)
        if (route.model or request.fields.get("model")) == NO_MODEL:
            return (route.api or vendor).no_model(NO_MODEL)
        if request.method == "GET":
            return None
        if size > BODY_LIMIT:
            return Refusal(413)
        if not isinstance(request.body, dict):
            return Refusal(400, message="We could not parse the JSON body of your request.")
        complaint = (route.api or vendor).complaint(request) if route.make is None else None
        return Refusal(400, message=complaint) if isinstance(complaint, str) else complaint

    def _script(self, vendor: Vendor, given: list[faults.Fault | Framing]) -> Script:
        queue = self._scripts[vendor.name]
        script = queue.popleft() if queue else None
        if script is None and self._faults is not None and not given:
            given = [next(self._faults)]
        script = script or Script()
        for one in given:
            change = {"framing": one} if isinstance(one, Framing) else {"fault": one}
            script = dataclasses.replace(script, **change)
        return script

    # ---- limits

    def _wall(self) -> float:
        """Unix seconds, moved by the event loop's clock alone, which may be virtual."""
        if self._wall_offset is None:
            self._wall_offset = _clock.wall() - anyio.current_time()
        return self._wall_offset + anyio.current_time()

    def _buckets_of(self, vendor: Vendor, now: float) -> Buckets | None:
        if vendor.name not in self._buckets:
            limits = self._limits[vendor.name]
            phase = random.Random(f"{self._seed}/{vendor.name}").random() if vendor.has_windows else None
            self._buckets[vendor.name] = (
                None if limits is None else Buckets(limits, now, phase=phase, refusals_count=vendor.refusals_count)
            )
        return self._buckets[vendor.name]

    def _told(self, vendor: Vendor, now: float) -> tuple[tuple[str, str], ...]:
        buckets = self._buckets_of(vendor, now)
        return vendor.limit_headers(buckets.read(now)) if buckets is not None else ()


class _Bill:
    """
    What an answer costs beyond what was charged when its request came.

    A token of output for each event, as long as there are any; the rest of the output, and what the estimate of the
    prompt was off, at the end. `late`: the `tokens` of a vendor that counts all in one are charged in this way, too.
    """

    def __init__(self, simulator: Simulator, buckets: Buckets, tokens: Tokens, estimate: int, *, late: bool) -> None:
        self._simulator, self._buckets, self._tokens, self._late = simulator, buckets, tokens, late
        self._estimate, self._billed = estimate, 0

    def sent(self, exchange: Exchange) -> None:
        """Some of it was."""
        if exchange.status == 200:
            self._charge(min(self._tokens.completion, exchange.events_sent), 0)

    def over(self, exchange: Exchange) -> None:
        """All that ever will be."""
        if exchange.status == 200:
            produced = self._tokens.completion if exchange.ended == "complete" else self._billed
            self._charge(produced, self._tokens.prompt - self._tokens.cached - self._estimate)
        if self._simulator._on_exchange is not None:
            self._simulator._on_exchange(exchange)

    def _charge(self, produced: int, prompt: int) -> None:
        output, self._billed = produced - self._billed, produced
        cost = {"output_tokens": output, "input_tokens": prompt, "tokens": output + prompt if self._late else 0}
        self._buckets.charge(cost, self._simulator._wall())


def _vendor(name: str) -> Vendor:
    vendor = VENDORS.get(name)
    if vendor is None:
        raise ValueError(f"there is no vendor {name!r}; there are: {', '.join(VENDORS)}")
    return vendor


def _split(target: str) -> SplitResult:
    try:
        return urlsplit(target)
    except ValueError:  # "//[": no address of anything
        return SplitResult("", "", target, "", "")


def _decoded(body: bytes) -> object:
    """JSON as the vendors' parsers take it, which is stricter than Python's: no NaN, no half of a surrogate pair."""
    if not body or len(body) > BODY_LIMIT:
        return None
    try:
        text = body.decode("utf-8-sig")
        decoded = json.loads(text, parse_constant=_refused)
        if _HALVES.search(text):
            json.dumps(decoded, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return decoded


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _nowhere(path: str) -> Iterator[Step]:
    prefixes = ", ".join(vendor.prefix for vendor in VENDORS.values())
    body = json.dumps(
        {"error": {"message": f"There is nothing at {path}; paths begin with one of: {prefixes}"}}
    ).encode()
    yield Head(404, (("content-type", "application/json"),), len(body))
    yield Piece(body)
