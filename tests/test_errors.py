"""The error tree: drawn as it is, and fit to travel."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from headrace import errors
from headrace._types import RateLimitInfo, Secret

CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, errors.HeadraceError) and cls is not errors.StreamInterruptedError
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize(
    "way", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"]
)
def test_every_error_survives_a_journey_with_all_it_knows(cls: type[errors.HeadraceError], way: object) -> None:
    error = cls("what, why, what next")
    for name in ("provider", "code", "request_id", "option", "kind"):
        if hasattr(error, name):
            setattr(error, name, name.upper())
    for name in ("status", "retry_after", "limit", "remaining", "retry_at", "waited", "seconds"):
        if hasattr(error, name):
            setattr(error, name, 7)
    if hasattr(error, "rate_limit"):
        error.rate_limit = RateLimitInfo(limit_requests=5)
    error.add_note("of the third run")
    again = way(error)
    assert type(again) is cls
    assert str(again) == "what, why, what next"
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    "cls", [cls for cls in CLASSES if issubclass(cls, errors.ProviderError)], ids=lambda cls: cls.__name__
)
def test_every_provider_error_has_the_six_attributes(cls: type[errors.ProviderError]) -> None:
    error = cls("x", provider="openai", status=500, request_id="req_1")
    assert (error.provider, error.status, error.request_id) == ("openai", 500, "req_1")
    assert error.code is None and error.retry_after is None and isinstance(error.retryable, bool)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.lstrip("│├└─ ").split(" ")[0]
        if not name.endswith("Error"):
            continue
        depth = (len(line) - len(line.lstrip("│├└─ "))) // 4
        path = [*path[:depth], (depth, name)]
        drawn[name] = path[-2][1] if depth else "Exception"
    real = {
        cls.__name__: next(
            base.__name__ for base in cls.__mro__[1:] if issubclass(base, Exception) and base.__name__ != "ABC"
        )
        for cls in [*CLASSES, errors.StreamInterruptedError]
    }
    assert drawn == real


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (errors.StreamTimeoutError, TimeoutError),
        (errors.ConcurrencyLimitError, TimeoutError),
        (errors.UnsupportedOptionError, ValueError),
    ],
)
def test_some_are_builtin_errors_too(cls: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(cls, builtin)


def test_a_secret_never_shows_itself() -> None:
    secret = Secret("sk-123")
    assert "sk-123" not in f"{secret!r} {secret!s} {secret}"
    assert secret.reveal() == "sk-123"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
