"""
What a call asks for: options, tools, deadlines.

None means *not given*. What a vendor makes of an option is `wire/`'s to know, what a model takes is `_models`'.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable, isfunction, ismethod
from typing import Final, Literal, Self

import msgspec

from .. import _schema
from .._base_errors import OutputValidationError
from .._checks import check_number, check_type, check_whole
from ._messages import AIMessage, ToolCall, ToolResultPart

__all__ = ("Deadlines", "GenerationConfig", "PromptCache", "Reasoning", "Tool", "check_call")


@dataclass(frozen=True, slots=True)
class Tool:
    """
    A function that the model may ask for.

    `Tool.of` makes one from a typed function, or from a type whose fields are the arguments.

    Args:
        name: what the model calls it by.
        description: what it does and when to use it: models read this.
        parameters: the JSON schema of an object.
        strict: whether the vendor shall enforce the schema; None leaves that to the vendor.
        arguments: the type that `decode` makes of a call's arguments; None for plain JSON values.
        function: what `run` calls.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, object] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None
    arguments: type[object] | None = field(default=None, kw_only=True, repr=False)
    function: Callable[..., object] | None = field(default=None, kw_only=True, repr=False)

    @classmethod
    def of(
        cls,
        source: Callable[..., object],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool | None = None,
    ) -> Self:
        """
        The tool for a function (plain or async) with annotated parameters, or for a Struct, dataclass or TypedDict.

        Its description is the first paragraph of the docstring; a parameter is described by
        `Annotated[str, msgspec.Meta(description="...")]`.

        Raises:
            TypeError: a parameter has no annotation or cannot be given by name, or the type has no fields.
        """
        if isfunction(source) or ismethod(source):
            struct, words = _schema.of_function(source)
            given, found = source.__name__, source
        elif isinstance(source, type):
            struct, found = source, None
            given, words = source.__name__, _first_paragraph(source)
        else:
            raise TypeError(f"a tool is made of a function or a type with fields, not of {source!r}")
        parameters = _schema.of_type(struct, strict=bool(strict))
        for key in ("title", "description"):  # they are the tool's own, beside its parameters
            parameters.pop(key, None)
        words = words if description is None else description
        return cls(name or given, words, parameters, strict, arguments=struct, function=found)

    def decode(self, call: ToolCall) -> object:
        """
        The arguments of a call: an instance of `arguments`, else the plain JSON value.

        Raises:
            OutputValidationError: they are not as the tool's type says; names the path.
        """
        wanted: _schema.OutputFormat = "json" if self.arguments is None else self.arguments
        return _schema.decode(call.arguments.strip() or "{}", wanted, what=f"the input of {call.name}()")

    async def run(self, call: ToolCall) -> ToolResultPart:
        """
        Call the function with the arguments of `call`, and await it if it is async.

        A result that is no text is given to the model as JSON. Arguments that do not fit are told to the model, as a
        result with `is_error`, so that it can mend them. What the function itself raises is raised.

        Raises:
            TypeError: there is no function, or its result has no JSON form.
            ValueError: the call is of another tool.
        """
        if call.name != self.name:
            raise ValueError(f"tool {self.name!r} cannot run a call of {call.name!r}: choose the tool by call.name")
        if self.function is None:
            raise TypeError(f"tool {self.name!r} has no function to run: make it by Tool.of(function)")
        try:
            found = self.decode(call)
        except OutputValidationError as exc:
            return ToolResultPart(call.id, str(exc), call.name, is_error=True)
        assert isinstance(found, msgspec.Struct), "of_function() makes Structs"
        result = self.function(**{name: getattr(found, name) for name in found.__struct_fields__})
        if isawaitable(result):
            result = await result
        try:
            text = result if isinstance(result, str) else msgspec.json.encode(result).decode()
        except (TypeError, ValueError, RecursionError) as exc:
            raise TypeError(f"tool {self.name!r}: its result has no JSON form: {exc}") from exc
        return ToolResultPart(call.id, text, call.name)


def _first_paragraph(source: type[object]) -> str:
    doc = source.__doc__ or ""
    is_generated = doc.startswith(f"{source.__name__}(")  # a dataclass without a docstring gets its signature as one
    return "" if is_generated else " ".join(doc.strip().split("\n\n")[0].split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """
    How a model shall reason. What is None is left to the vendor.

    Attributes:
        effort: the vendor's word: "none", "minimal", "low", "medium", "high", "xhigh", "max".
        budget: most tokens to reason with.
        show: whether the answer brings the reasoning in words, or a summary of it, where the vendor gives that.
    """

    effort: str | None = None
    budget: int | None = None
    show: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCache:
    """
    How the vendor's prompt cache is used, beside what the vendor does by itself. `CacheBreakpoint` says what to keep.

    Attributes:
        key: requests with the same key are led to the same warm cache (OpenAI, xAI).
        ttl: how long, in the vendor's word: "5m", "1h" (Anthropic), "30m", "12h" (OpenAI).
        name: a cache that was made before, by its name (Gemini).
    """

    key: str | None = None
    ttl: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """
    How long a vendor may take, in seconds of the vendor's time: waiting for a slot or for the consumer does not count.

    A deadline is never early, and late by at most an eighth of itself or 0.5 s. `None` for `total` means no bound.
    """

    first_chunk: float = (
        600.0  # until the first content: reasoning models think for minutes; the vendors' SDKs wait 600
    )
    next_chunk: float = 600.0  # between two contents: the same models think again between two tool calls
    idle: float = 300.0  # silence on the wire, any byte counts: pings come every few seconds where vendors send them
    total: float | None = None  # the whole answer: only the caller knows what it is worth

    def __post_init__(self) -> None:
        for name in ("first_chunk", "next_chunk", "idle", "total"):
            value = getattr(self, name)
            if value is None and name == "total":
                continue
            check_number(f"deadline {name}", value, "a number of seconds above 0", above=0, endless=True)


@dataclass(slots=True, kw_only=True)
class GenerationConfig:
    """
    What one call asks for. None means *not given*: it is not sent, and the vendor's own default holds.

    An option that the provider or the model cannot honour raises `UnsupportedOptionError` before any request.

    Attributes:
        model: the vendor's model id; else the provider's `model`.
        max_tokens: most tokens to generate, reasoning included.
        temperature, top_p, top_k: sampling; many models reject them now.
        stop_sequences: texts that end the answer.
        seed: best-effort repeatability.
        tools: functions that the model may ask for.
        tool_choice: "auto", "none", "required", or the name of the one tool to call.
        parallel_tool_calls: whether one answer may hold several calls.
        response_format: "json" for any JSON object; a JSON schema as a mapping; or a Struct, dataclass or TypedDict,
            of which `AIResponse.parse()` makes an instance.
        reasoning: an effort word ("none" ... "max"), a budget in tokens, a `Reasoning`, or the vendor's own object.
        cache: how the vendor's prompt cache is used.
        metadata: the caller's own words for the vendor's records, such as {"user_id": "..."}.
        service_tier: the vendor's word for how fast and how dear, such as "auto", "flex", "priority".
        stream: False asks for one plain JSON answer in place of a stream.
        extra: fields put into the request body as they are, over everything else; `stream` has its own option.
        priority: among calls that wait for their turn, higher goes first.
        max_wait: most seconds to wait for a turn before the request is sent; 0 refuses instead of waiting.
        max_attempts: requests that this call may send, in place of the provider's `max_attempts`.
        deadlines: for this call in place of the provider's.

    Raises:
        ValueError: a number that can be none of these.
        TypeError: a value of another type, such as one text as `stop_sequences`, or a function among `tools`.
    """

    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: Sequence[str] | None = None
    seed: int | None = None
    tools: Sequence[Tool] | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    response_format: Literal["json"] | Mapping[str, object] | type[object] | None = None
    reasoning: str | int | Reasoning | Mapping[str, object] | None = None
    cache: PromptCache | None = None
    metadata: Mapping[str, str] | None = None
    service_tier: str | None = None
    stream: bool | None = None
    extra: Mapping[str, object] | None = None
    priority: int = 0
    max_wait: float | None = None
    max_attempts: int | None = None
    deadlines: Deadlines | None = None

    def __post_init__(self) -> None:
        for name, least in _WHOLE.items():
            if (value := getattr(self, name)) is not None:
                check_whole(name, value, least=least)
        for name, (must, most, endless) in _NUMBERS.items():
            if (value := getattr(self, name)) is not None:
                check_number(name, value, must, least=0, most=most, endless=endless)
        for name, (kind, must) in _TYPES.items():
            if (value := getattr(self, name)) is not None:
                check_type(name, value, kind, must)
        for name, kind, must in (("stop_sequences", str, "a text"), ("tools", Tool, "a Tool: see Tool.of()")):
            if (value := getattr(self, name)) is not None:
                # A text is a sequence of texts, too: of its letters, of which each would end the answer.
                if isinstance(value, str) or not isinstance(value, Sequence):
                    raise TypeError(f"{name} is {value!r:.80}: it must be a list, each of it {must}")
                for index, one in enumerate(value):
                    check_type(f"{name}[{index}]", one, kind, must)


# What a number can be at all. What a vendor takes of that is the vendor's to say: servers have seeds below 0, and
# top_k=-1 for none.
_WHOLE: Final[Mapping[str, int | None]] = {
    "max_tokens": 0,
    "top_k": None,
    "seed": None,
    "priority": None,
    "max_attempts": 1,
}
_NUMBERS: Final[Mapping[str, tuple[str, float, bool]]] = {
    "temperature": ("a number, 0 or more", math.inf, False),
    "top_p": ("a number from 0 to 1", 1.0, False),
    "max_wait": ("a number of seconds, 0 or more", math.inf, True),
}
_TYPES: Final[Mapping[str, tuple[type, str]]] = {
    "model": (str, "a text"),
    "tool_choice": (str, "a text"),
    "parallel_tool_calls": (bool, "True or False"),
    "cache": (PromptCache, "a PromptCache"),
    "metadata": (Mapping, "a mapping"),
    "service_tier": (str, "a text"),
    "stream": (bool, "True or False"),
    "extra": (Mapping, "a mapping"),
    "deadlines": (Deadlines, "a Deadlines, such as Deadlines(total=60)"),
}


def check_call(messages: object, config: object) -> None:
    """
    Check what a call was given, before anything is made of it.

    Raises:
        TypeError: `messages` is no sequence of `AIMessage`, or `config` no `GenerationConfig`.
    """
    if config is not None:
        check_type("config", config, GenerationConfig, "a GenerationConfig")
    if isinstance(messages, str | bytes) or not isinstance(messages, Sequence):
        raise TypeError(f"messages is {messages!r:.80}: it must be a list, such as [AIMessage('user', '...')]")
    for index, message in enumerate(messages):
        if not isinstance(message, AIMessage):
            check_type(f"messages[{index}]", message, AIMessage, "an AIMessage, such as AIMessage('user', '...')")
