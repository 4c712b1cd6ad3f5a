"""
The model rules in force: headrace's own `models.toml`, and over it what the caller knows better.

```python
headrace.models.rules_for("openai", "gpt-5.5").refuses_reasoning  # ('temperature', 'top_p')
headrace.models.limits("anthropic", "claude-sonnet-5-5").output_tokens  # 128000
headrace.models.add_rules({"openai": [{"models": ["gpt-7*"], "refuses": ["temperature"]}]})
```

The environment variable `HEADRACE_MODELS` names a TOML file that is put over headrace's own, without any code. Files
are read at first use, not at import. There is one table for the process.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import RLock
from typing import Final, NamedTuple

from ._models import Embeddings, ModelRule, ReasoningRule, Rules, Table, load, read
from .errors import ModelRulesError

__all__ = (
    "Embeddings",
    "Limits",
    "ModelRule",
    "ReasoningRule",
    "add_rules",
    "default_model",
    "known_models",
    "limits",
    "retirement",
    "rules_for",
)

VARIABLE: Final = "HEADRACE_MODELS"
OWN: Final = Path(__file__).with_name("models.toml")

_in_force: Rules | None = None
_lock: Final = RLock()


class Limits(NamedTuple):
    """
    How many tokens a model reads and writes; None is unknown.

    `context_tokens` is the most input; where the answer shares the window with it, both together.
    """

    context_tokens: int | None
    output_tokens: int | None


def current() -> Rules:
    """
    The whole table.

    Raises:
        ModelRulesError: the file that the environment names is missing or broken.
    """
    global _in_force  # noqa: PLW0603  # one table for the process, as there is one environment
    with _lock:
        if _in_force is None:
            rules = _from_file(OWN, "headrace's models.toml")
            if path := os.environ.get(VARIABLE, "").strip():
                rules = rules.merged(_from_file(Path(path), f"{VARIABLE}={path}"))
            _in_force = rules
        return _in_force


def add_rules(source: Path | Table) -> None:
    """
    Put rows over those in force. Call it before the first request.

    Args:
        source: a TOML file of the form of headrace's `models.toml`, or the same as a mapping.

    Raises:
        ModelRulesError: the file cannot be read, or is not of that form. Nothing is changed then.
    """
    global _in_force  # noqa: PLW0603  # as above
    added = _from_file(source, str(source)) if isinstance(source, Path) else read(source, source="add_rules()")
    with _lock:
        _in_force = current().merged(added)


def _from_file(path: Path, source: str) -> Rules:
    try:
        text = path.expanduser().read_text("utf-8")
    except (OSError, ValueError, RuntimeError) as exc:  # no such file, no UTF-8 or a null byte in its name, no home
        raise ModelRulesError(f"{source}: this file cannot be read: {exc}") from exc
    return load(text, source=source)


# ---------------------------------------------------------------- questions


def rules_for(provider: str, model: str) -> ModelRule:
    """What is known of a model. Of one that no row matches nothing is known, and nothing is refused."""
    return (_in_force or current()).rule(provider, model)


def default_model(provider: str, *, embeddings: bool = False) -> str | None:
    """The model that is asked where nobody names one: for chats, or for embeddings. None if there is none."""
    return current().default_model(provider, embeddings=embeddings)


def known_models(provider: str) -> tuple[str, ...]:
    """Models by name, without those that are retired or have a day for it. The vendor may have more."""
    return current().known_models(provider)


def limits(provider: str, model: str) -> Limits:
    """How many tokens a model reads and writes."""
    rule = rules_for(provider, model)
    return Limits(rule.context_tokens, rule.output_tokens)


def retirement(provider: str, model: str) -> str:
    """A sentence for the error of a model that is not found: its last day, and what to ask in its place. Else ""."""
    rule = rules_for(provider, model)
    if rule.retired is None:
        return ""
    other = default_model(provider, embeddings=rule.embeddings is not None)
    return f"The vendor retires {model!r} on {rule.retired}" + (f": {other!r} is a newer one." if other else ".")
