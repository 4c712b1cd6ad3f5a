"""
Ollama chat requests: messages and options in, the JSON body out.

Puts in what the caller gave, and two fields that the server has the wrong default for: `stream` is always said, since
it streams where nothing is said, and `truncate: false`, without which it silently leaves out the oldest messages of a
conversation that is longer than the context (a refusal says so instead). `extra` goes over both; its `options` are put
beside those that were given by name, as `num_ctx` has no name here. Images are bytes, never a URL. Which model thinks
or sees is not known here. Source: docs.ollama.com/api/chat and the server's own types, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from .. import _schema
from .._types import (
    AIMessage,
    GenerationConfig,
    ImagePart,
    Part,
    Reasoning,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCall,
    ToolResultPart,
)
from ..errors import UnsupportedOptionError
from ._codec import Encoded
from ._history import History
from ._shared import arguments, as_map, dump, inline

__all__ = ("encode",)

JSONObject: TypeAlias = dict[str, object]

PROVIDER: Final = "ollama"

EFFORTS: Final = ("low", "medium", "high", "max")

_OPTIONS: Final = {  # our name: theirs
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "max_tokens": "num_predict",
    "stop_sequences": "stop",
}
_NOT_HERE: Final = {
    "cache": "the prompt cache is the server's own affair: leave it out",
    "metadata": "a request carries no metadata: leave it out",
    "service_tier": "there is one tier: leave it out",
    "parallel_tool_calls": "how many tools are called is the model's to say: leave it out",
}


def encode(messages: Sequence[AIMessage], config: GenerationConfig, *, model: str, stream: bool) -> Encoded:
    """The request of `POST /api/chat`; see `Codec.encode`."""
    for option, why in _NOT_HERE.items():
        if getattr(config, option) is not None:
            raise _unsupported(option, why)
    if config.tool_choice not in {None, "auto"}:
        raise _unsupported("tool_choice", f"a tool cannot be made to be called ({config.tool_choice!r}): leave it out")
    extra = dict(config.extra or {})
    options = {theirs: value for ours, theirs in _OPTIONS.items() if (value := getattr(config, ours)) is not None}
    options |= as_map(extra.pop("options", None))
    turns = _Turns()
    body: JSONObject = {
        "model": model,
        "messages": [turn for message in messages for turn in turns.of(message)],
        "stream": stream,
        "truncate": False,
    }
    if options:
        body["options"] = options
    if config.tools is not None:
        body["tools"] = [_tool(tool) for tool in config.tools]
    if config.response_format is not None:
        body["format"] = _format(config.response_format)
    if config.reasoning is not None and (think := _think(config.reasoning)) is not None:
        body["think"] = think
    body |= extra
    return Encoded("/api/chat", dump(body, provider=PROVIDER), dropped=turns.history.dropped)


def _tool(tool: Tool) -> JSONObject:
    if tool.strict is not None:
        raise _unsupported("tools", f"tool {tool.name!r} cannot be made strict: leave it out")
    function: JSONObject = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _format(wanted: str | Mapping[str, object] | type[object]) -> object:
    if isinstance(wanted, type):
        return _schema.of_type(wanted, strict=False)
    if wanted != "json" and not isinstance(wanted, Mapping):
        raise _unsupported("response_format", f"there is no format {wanted!r}: use 'json' or a JSON schema")
    return wanted


def _think(reasoning: str | int | Reasoning | Mapping[str, object]) -> str | bool | None:
    """A word for models that take one (gpt-oss), True or False for the others. Whoever thinks shows it."""
    if isinstance(reasoning, Reasoning):
        if reasoning.budget is not None or reasoning.show is False:
            raise _unsupported("reasoning", "a model that thinks has no budget for it here, and always shows it")
        if reasoning.effort is None:
            return reasoning.show
        reasoning = reasoning.effort
    if isinstance(reasoning, bool):
        return reasoning
    if reasoning in ("none", 0):  # a mapping has no hash
        return False
    if not isinstance(reasoning, str) or reasoning not in EFFORTS:
        words = ", ".join(EFFORTS)
        raise _unsupported("reasoning", f"there is no reasoning {reasoning!r}: use none, {words}, True or False")
    return reasoning


# ---------------------------------------------------------------- messages


class _Turns:
    """Our messages as the turns that the format makes of them."""

    def __init__(self) -> None:
        self.history: History = History(PROVIDER)
        self._names: dict[str, str] = {}  # of the calls so far, by id: a result may come without

    def of(self, message: AIMessage) -> Iterator[JSONObject]:
        """The turns of one message. Tool results are turns of their own and come first: they answer the turn before."""
        if message.role == "tool" and isinstance(message.content, str):
            if not message.name:
                raise _unsupported(
                    "messages", "a tool's answer needs the call's id: give it as name, or use ToolResultPart"
                )
            yield self._result(ToolResultPart(message.name, message.content))
            return
        if message.name and message.role != "tool":
            self.history.drop("an author's name")
        rest: list[Part] = []
        for part in self.history.own(message):
            if isinstance(part, ToolResultPart):
                yield self._result(part)
            else:
                rest.append(part)
        if message.role != "tool":
            if rest or not message.parts:
                yield self._turn(message.role, rest)
        elif rest:
            raise _unsupported(
                "messages", "a message of role 'tool' holds tool results only: put the rest into a user message"
            )

    def _result(self, part: ToolResultPart) -> JSONObject:
        """`is_error` has no field: the result's words say it."""
        turn: JSONObject = {"role": "tool", "content": part.text}
        media = () if isinstance(part.content, str) else part.content
        if images := [self._image(one) for one in media if not isinstance(one, TextPart)]:
            turn["images"] = images
        if name := part.name or (part.call_id and self._names.get(part.call_id)):
            turn["tool_name"] = name
        if part.call_id:
            turn["tool_call_id"] = part.call_id
        return turn

    def _turn(self, role: str, parts: Sequence[Part]) -> JSONObject:
        words: list[str] = []
        thoughts: list[str] = []
        images: list[str] = []
        calls: list[JSONObject] = []
        for part in parts:
            if isinstance(part, TextPart):
                words.append(part.text)
            elif isinstance(part, ReasoningPart) and part.data is not None:
                self.history.drop("redacted reasoning, which this format does not have")
            elif isinstance(part, ReasoningPart):
                thoughts.append(part.text)
            elif isinstance(part, ToolCall) and role == "assistant":
                self._names[part.id] = part.name
                calls.append(_call(part))
            else:
                images.append(self._image(part))
        turn: JSONObject = {"role": role, "content": "".join(words)}
        if thinking := "".join(thoughts):
            turn["thinking"] = thinking
        return turn | {name: found for name, found in (("images", images), ("tool_calls", calls)) if found}

    def _image(self, part: object) -> str:
        if not isinstance(part, ImagePart):
            raise _unsupported("messages", f"a turn holds text and images, no {type(part).__name__}")
        if part.detail not in {None, "auto"}:
            raise _unsupported("messages", f"an image has no detail {part.detail!r} here: leave it out")
        found = inline(part, provider=PROVIDER)
        if found is None:
            raise _unsupported("messages", "an image is sent as its bytes, never as a URL: give bytes or a Path")
        return found[1]


def _call(call: ToolCall) -> JSONObject:
    function: JSONObject = {"name": call.name, "arguments": arguments(call, provider=PROVIDER)}
    return {"id": call.id, "function": function} if call.id else {"function": function}


def _unsupported(option: str, why: str) -> UnsupportedOptionError:
    return UnsupportedOptionError(f"{PROVIDER}: {why}", option=option)
