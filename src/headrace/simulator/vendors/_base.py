"""
What every simulated vendor gives: routes, heads, frames, bodies, refusals. One subclass a file.

A `Vendor` is one address, with its keys, limits and refusals. An `Api` is one format of a conversation; a vendor is
itself one, and may have more on other paths. What is no conversation (embeddings, counts, lists) is a `Route` that
makes its whole answer.

Pure: a `Turn` (what was asked, what the script says, a seeded generator, the time) goes in, values come out.
"""

from __future__ import annotations

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, TypeAlias

from headrace.simulator.asked import Asked
from headrace.simulator.buckets import Reading
from headrace.simulator.script import LineEnd, Script, Tokens, split_words
from headrace.simulator.seal import Seal
from headrace.simulator.steps import Frame, Loose

__all__ = (
    "NO_MODEL",
    "Api",
    "Charging",
    "Headers",
    "Refusal",
    "Request",
    "Route",
    "Turn",
    "Vendor",
    "bearer",
    "count_prompt",
    "listed",
    "mapping",
)

Headers: TypeAlias = tuple[tuple[str, str], ...]
# What `tokens` are charged with. When a request comes: its prompt alone, or with the most that may be generated; or its
# prompt then, and what is generated as it is produced.
Charging: TypeAlias = Literal["prompt", "most", "produced"]

NO_MODEL: Final = "no-such-model"  # every other model exists


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came. `path` begins after the vendor's prefix; `body` is the decoded JSON, or None."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: object = None
    seal: Seal = field(default_factory=Seal)

    @property
    def fields(self) -> Mapping[str, object]:
        """The body where it is an object, else nothing."""
        return self.body if isinstance(self.body, dict) else {}


@dataclass(frozen=True, slots=True)
class Route:
    """
    What a path leads to.

    Attributes:
        kind: "chat" generates; "embed" makes vectors, which costs as an answer does; "free" counts and lists.
        methods: those it takes.
        model: named in the path.
        stream: whether the path says so.
        as_array: the events of a stream come as one JSON array.
        api: the format, where it is not the vendor's usual one.
        make: of "embed" and "free": the whole answer, or why there is none.
    """

    kind: Literal["chat", "embed", "free"]
    methods: tuple[str, ...]
    model: str = ""
    stream: bool | None = None
    as_array: bool = False
    api: Api | None = None
    make: Callable[[Request], object] | None = None


@dataclass(slots=True)
class Turn:
    """One answer in the making. Everything random comes from `rng`, in a fixed order."""

    request: Request
    route: Route
    script: Script
    rng: random.Random
    now: float
    ident: int = 0  # 128 bits: the answer's id
    model: str = ""
    pieces: tuple[str, ...] = ()
    thoughts: tuple[str, ...] = ()
    refusal: tuple[str, ...] = ()
    tokens: Tokens = field(default_factory=lambda: Tokens(prompt=0, completion=0))
    made: object = None  # the answer of a route that makes it
    asked: Asked = field(default_factory=Asked)

    def __post_init__(self) -> None:
        script, rng = self.script, self.rng
        self.ident = rng.getrandbits(128)
        asked = self.request.fields.get("model")
        self.model = script.model or self.route.model or (asked if isinstance(asked, str) else "") or "model"
        prompt = count_prompt(self.request.body)
        if self.route.make is not None:
            self.tokens = script.usage or Tokens(prompt=prompt, completion=0)
            return
        self.pieces = script.words(rng)
        thoughts = split_words(script.reasoning, rng)
        self.thoughts = thoughts if self.asked.thoughts and not script.redacted else ()
        self.refusal = split_words(script.refusal, rng)
        calls = sum(len(name) + len(arguments) for name, arguments in script.tool_calls)
        words = len(self.pieces) + len(self.refusal) + (calls + 3) // 4
        self.tokens = script.usage or Tokens(prompt=prompt, completion=words + len(thoughts), reasoning=len(thoughts))

    def id(self, prefix: str, length: int = 24) -> str:
        """A fresh identifier."""
        return prefix + "".join(
            self.rng.choices("0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", k=length)
        )

    def fragments(self, arguments: str) -> list[str]:
        """A tool's arguments in pieces of 2 to 9 characters."""
        pieces, at = [], 0
        while at < len(arguments):
            step = self.rng.randint(2, 9)
            pieces.append(arguments[at : at + step])
            at += step
        return pieces


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    What a refusal is made of.

    `code` and `param` are the vendor's words for what is wrong and where; `shape` is that of `faults.Refuse`; `wait` is
    in seconds; `dimension` is the limit that a 429 speaks of.
    """

    status: int
    kind: Literal["rate", "quota"] = "rate"
    message: str = ""
    code: str = ""
    param: str | None = None
    shape: Literal["usual", "nested", "string"] = "usual"
    wait: float | None = None
    wait_ms: bool = False
    dimension: str = "requests"
    limit: int = 20
    request_id: str = ""


class Api(ABC):
    """One format of a conversation: what is asked in it, and how it is answered."""

    line_end: ClassVar[LineEnd] = "lf"
    separators: ClassVar[tuple[str, str]] = (",", ":")
    stream_type: ClassVar[str] = "text/event-stream"
    json_lines: ClassVar[bool] = False  # an event is a line of JSON, in place of the lines of an event stream

    # ---- what came

    @abstractmethod
    def complaint(self, request: Request) -> str | Refusal | None:
        """What is wrong with the body, in the vendor's words; None if nothing is."""

    def no_model(self, model: str) -> Refusal:
        """What is said of a model that does not exist."""
        return Refusal(404, message=f"There is no model {model!r}.")

    def asked(self, request: Request) -> Asked:  # noqa: ARG002  # formats differ
        """What the request holds the model to."""
        return Asked()

    def wants_stream(self, request: Request, route: Route) -> bool:
        """Whether a stream is asked for."""
        return route.stream if route.stream is not None else request.fields.get("stream") is True

    def max_tokens(self, request: Request) -> int:
        """The most tokens that the request allows; 0 if it does not say."""
        for name in ("max_completion_tokens", "max_tokens"):
            value = request.fields.get(name)
            if isinstance(value, int):
                return value
        return 0

    # ---- what goes

    @abstractmethod
    def frames(self, turn: Turn) -> list[Frame]:
        """The events of a good stream."""

    @abstractmethod
    def body(self, turn: Turn) -> object:
        """The plain JSON answer."""

    @abstractmethod
    def error_frame(self, kind: str, shape: str) -> Frame:
        """An error event in mid-stream. `kind` is "overloaded", "rate_limit", "api" or a code of the vendor's."""

    def errors(self, turn: Turn, kind: str, shape: str) -> list[Frame]:  # noqa: ARG002  # formats differ
        """All that is written when something goes wrong in mid-stream."""
        return [self.error_frame(kind, shape)]

    @abstractmethod
    def more(self, turn: Turn, text: str) -> list[Frame]:
        """Events with `text`, good at any point after the content."""

    @abstractmethod
    def unknown(self) -> Frame:
        """An event of a type that no client knows, without content."""

    def ping(self) -> Frame:
        """What keeps a silent connection alive."""
        return COMMENT

    def posted(self, loose: Iterable[Loose]) -> Iterable[Loose]:
        """The events as they are sent at last: here those are numbered that carry a number."""
        return loose

    def dumps(self, value: object) -> str:
        """JSON as the vendor writes it."""
        return json.dumps(value, ensure_ascii=False, separators=self.separators)


class Vendor(Api):
    """One vendor: its address, and the format that is usual there."""

    name: ClassVar[str]
    prefix: ClassVar[str]  # what base_url() ends in
    charging: ClassVar[Charging] = "produced"
    has_windows: ClassVar[bool] = False  # limits begin anew by the minute, in place of refilling all the time
    refusals_count: ClassVar[bool] = False  # a refused request counts as one
    tells_ms: ClassVar[bool] = False  # a refusal tells its wait in milliseconds, too

    @abstractmethod
    def route(self, request: Request) -> Route | None:
        """Where the path leads; None is a 404."""

    @abstractmethod
    def has_key(self, headers: Mapping[str, str]) -> bool:
        """Whether a key came at all. Any key is good."""

    @abstractmethod
    def headers(self, rng: random.Random) -> Headers:
        """The vendor's own headers of every answer, ids above all."""

    @abstractmethod
    def refusal(self, refusal: Refusal) -> tuple[Headers, object]:
        """Headers and JSON body of a refusal."""

    @abstractmethod
    def limit_headers(self, readings: Mapping[str, Reading]) -> Headers:
        """The state of the buckets, told in the vendor's way."""


COMMENT = Frame(raw=": keep-alive\n\n", kind="noise")


def bearer(headers: Mapping[str, str]) -> bool:
    """Whether `authorization` carries a key."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and bool(key.strip())


def mapping(value: object) -> Mapping[str, object]:
    """The value where it is a JSON object, else nothing."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[object]:
    """The value where it is a JSON array, else nothing."""
    return value if isinstance(value, list) else []


def count_prompt(body: object) -> int:
    """A prompt's tokens as a real vendor might count them: a quarter of the characters of all texts in the body."""
    return max(1, (_characters(body) + 3) // 4)


def _characters(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(_characters(item) for key, item in value.items() if key not in {"model", "role", "type"})
    if isinstance(value, Sequence):
        return sum(_characters(item) for item in value)
    return 0
