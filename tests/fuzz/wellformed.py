"""
What may come out of a decoder: the values that `_types` declares, and errors of ours. Both are checked to the leaf.

The declared types are the oracle: they are read from the annotations, so a new field is checked as soon as it exists.
"""

from __future__ import annotations

import pickle
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from headrace import AIResponse, AIStreamChunk, _schema
from headrace._types import Usage
from headrace.errors import ProviderError, RateLimitError

COUNTS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
MESSAGE_LIMIT = 1400  # characters of an error: 500 are the vendor's words, a code and an id have 80 each


def assert_well_formed(chunk: AIStreamChunk) -> None:
    """Every field has its declared type, no text has half of a surrogate pair, no count is negative."""
    _check(chunk, AIStreamChunk, "chunk")
    assert chunk.error is None and not chunk.is_marker, "a decoder makes no markers"
    if chunk.usage is not None:
        _check_counts(chunk.usage)


def assert_response(response: AIResponse) -> None:
    """The same of a whole answer, which can be sent to another process, and back to the vendor."""
    _check(response, AIResponse, "response")
    if response.usage is not None:
        _check_counts(response.usage)
    assert pickle.loads(pickle.dumps(response)) == response
    message = response.to_message()
    assert message.role == "assistant" and isinstance(message.parts, tuple)


def assert_error(error: ProviderError) -> None:
    """A typed error, of a length to be read, in one printable line, that survives a pickle."""
    text = str(error)
    assert text.isprintable() and 0 < len(text) < MESSAGE_LIMIT, text[:2000]
    for name in ("code", "request_id", "provider"):
        _check(getattr(error, name), str | None, name)
    _check(error.status, int | None, "status")
    _check(error.retry_after, float | None, "retry_after")
    assert type(error.retryable) is bool
    assert error.retry_after is None or 0 <= error.retry_after < 1e12
    if isinstance(error, RateLimitError):
        for name in ("limit", "remaining", "needed", "retry_at"):
            _check(getattr(error, name), float | None, name)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.__dict__) == (type(error), text, error.__dict__)


def _check_counts(usage: Usage) -> None:
    for name in COUNTS:
        count = usage[name]
        assert count is None or (type(count) is int and count >= 0), (name, count)


# ---------------------------------------------------------------- by annotation


@cache
def _hints(kind: type) -> Mapping[str, object]:
    names = {"_schema": _schema} if kind is AIResponse else None
    return get_type_hints(kind, localns=names)


def _check(value: object, hint: object, path: str) -> None:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        _check_union(value, arguments, path)
    elif origin is Literal:
        assert value in arguments, (path, value)
    elif origin is type:
        assert isinstance(value, type), (path, value)
    elif origin is Callable:
        assert callable(value), (path, value)
    elif origin is tuple:
        assert type(value) is tuple, (path, type(value))
        kinds = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        for number, (item, kind) in enumerate(zip(value, kinds, strict=True)):
            _check(item, kind, f"{path}[{number}]")
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        assert isinstance(value, dict), (path, type(value))
        assert_json(value, path)
    elif is_typeddict(hint):
        assert isinstance(value, dict) and set(value) == set(_hints(hint)), (path, value)
        for name, kind in _hints(hint).items():
            _check(value[name], kind, f"{path}[{name!r}]")
    elif isinstance(hint, type) and is_dataclass(hint):
        assert isinstance(value, hint), (path, type(value))
        for field in fields(hint):
            _check(getattr(value, field.name), _hints(hint)[field.name], f"{path}.{field.name}")
    elif hint is float:
        assert type(value) in {float, int}, (path, value)
    elif hint is str:
        assert type(value) is str, (path, type(value))
        value.encode()
    elif hint is object:
        assert_json(value, path)
    elif isinstance(hint, type):
        assert type(value) is hint or (hint not in {int, bool} and isinstance(value, hint)), (path, value)
    else:
        raise TypeError(f"{path}: nothing is known of {hint!r}")


def _check_union(value: object, kinds: tuple[object, ...], path: str) -> None:
    problems = []
    for kind in kinds:
        try:
            return _check(value, kind, path)
        except (AssertionError, UnicodeError) as exc:
            problems.append(exc)
    raise AssertionError(f"{path}: {str(value)[:200]!r} is none of {kinds}") from problems[0]


def assert_json(value: object, path: str) -> None:
    """A value that JSON has; without recursion, for it may be deep."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            assert all(type(name) is str for name in item), path
            left += [*item, *item.values()]
        elif isinstance(item, list | tuple):
            left += item
        elif type(item) is str:
            item.encode()
        else:
            assert item is None or type(item) in {bool, int, float}, (path, type(item))
