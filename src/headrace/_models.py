"""
Model rules: what each model takes, refuses and holds, as values that are read from a table.

A row says something of the models that its names and globs match; the rows that match a model are laid over one
another, the later over the earlier, and make its `ModelRule`. `models.toml` says at its head what each field means.
Knows no model's name, no file and no environment (`models` does), and not what an option is good for (`_options` does).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from .errors import ModelRulesError

__all__ = (
    "OPTIONS",
    "Embeddings",
    "ModelRule",
    "ReasoningRule",
    "Rules",
    "Table",
    "load",
    "read",
)

REMEMBERED: Final = 1024  # models whose rows are laid together already; a gateway may be asked for any name

# What a rule may name: the fields of GenerationConfig that reach the model.
OPTIONS: Final = (
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "seed",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning",
    "cache",
    "metadata",
    "service_tier",
)

Table: TypeAlias = Mapping[str, object]
Takes: TypeAlias = bool | Literal["unless_reasoning"] | None
Range: TypeAlias = tuple[float, float]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]


class ReasoningRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a model reasons. None is unknown."""

    default: bool | None = None
    can_disable: bool | None = None
    efforts: tuple[str, ...] | None = None
    responses_only: tuple[str, ...] = ()
    budget: bool | None = None
    note: str = ""


class Embeddings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an embedding model gives and takes: numbers in a vector, tokens in a text, texts in a request."""

    dimensions: Count | None = None
    input_tokens: Count | None = None
    batch: Count | None = None


class ModelRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that is known of one model; the fields are those of `models.toml`. None, or nothing, is unknown."""

    context_tokens: Count | None = None
    output_tokens: Count | None = None
    refuses: tuple[str, ...] = ()
    refuses_reasoning: tuple[str, ...] = ()
    refuses_together: tuple[str, ...] = ()
    ranges: dict[str, Range] = {}
    ranges_reasoning: dict[str, Range] = {}
    reasoning: ReasoningRule = ReasoningRule()
    prefill: Takes = None
    forced_tool_choice: Takes = None
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    api: Literal["responses"] | None = None
    retired: date | None = None
    embeddings: Embeddings | None = None


# ---------------------------------------------------------------- rows


@dataclass(frozen=True, slots=True)
class Row:
    """One row: for which models, and what it says of them. `fields` is checked, and still as it was written."""

    models: tuple[str, ...]
    fields: Table
    default: bool = False

    def matches(self, model: str) -> bool:
        return any(fnmatchcase(model, pattern) for pattern in self.models)


class _Written(ModelRule, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A row as it is written: whom it is for, and a rule."""

    models: tuple[str, ...]
    default: bool = False


_TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "reasoning": ReasoningRule.__struct_fields__,
    "embeddings": Embeddings.__struct_fields__,
    "ranges": OPTIONS,
    "ranges_reasoning": OPTIONS,
}


def load(text: str, *, source: str = "model rules") -> Rules:
    """
    Rules from TOML of the form of `models.toml`.

    Args:
        text: the file's text.
        source: what messages call it.

    Raises:
        ModelRulesError: it is no TOML, a key is unknown, or a value is of the wrong type. The message says where, and
            what the key may have been meant to be.
    """
    import tomllib  # not with the package: a table is read once, if at all

    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ModelRulesError(f"{source}: this is no TOML: {exc}") from exc
    return read(table, source=source)


def read(table: object, *, source: str = "model rules") -> Rules:
    """Rules from a mapping of provider names to lists of rows; see `load`."""
    if not isinstance(table, Mapping):
        raise ModelRulesError(f"{source}: rules are a mapping of provider names to rows, or a Path, not {table!r:.80}")
    rows: dict[str, tuple[Row, ...]] = {}
    for provider, given in table.items():
        where = f"{source}: {provider}"
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise ModelRulesError(f"{where}: rows are a list of tables: write [[{provider}]], or a list in code")
        rows[str(provider)] = tuple(_row(row, f"{where}[{index}]") for index, row in enumerate(given))
    return Rules(rows)


def _row(given: object, where: str) -> Row:
    if not isinstance(given, Mapping):
        raise ModelRulesError(f"{where}: a row is a table, not {given!r:.80}")
    _check_keys(given, _Written.__struct_fields__, where)
    for name, keys in _TABLES.items():
        if isinstance(inner := given.get(name), Mapping):
            _check_keys(inner, keys, f"{where}.{name}")
    fields = {key: dict(value) if isinstance(value, Mapping) else value for key, value in given.items()}
    try:
        row = msgspec.convert(fields, _Written)
    except msgspec.ValidationError as exc:
        words, _, path = str(exc).partition(" - at `$")
        raise ModelRulesError(f"{where}{path.rstrip('`')}: {words}") from exc
    if not all(row.models) or not row.models:
        raise ModelRulesError(f"{where}.models: name at least one model, or a glob such as 'gpt-*'")
    if row.default and (len(row.models) != 1 or _is_glob(row.models[0])):
        raise ModelRulesError(f"{where}.default: a default is one model by its name: give models = ['...'] with one")
    _check_values(row, where)
    return Row(row.models, {key: fields[key] for key in fields if key not in {"models", "default"}}, row.default)


def _check_values(rule: ModelRule, where: str) -> None:
    for name in ("refuses", "refuses_reasoning", "refuses_together"):
        _check_keys(dict.fromkeys(getattr(rule, name)), OPTIONS, f"{where}.{name}")
    for name in ("ranges", "ranges_reasoning"):
        for option, (least, most) in getattr(rule, name).items():
            if not least <= most:
                raise ModelRulesError(f"{where}.{name}.{option}: nothing lies in [{least:g}, {most:g}]: least, most")


def _check_keys(table: Table, known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ModelRulesError(f"{where}: there is no {key!r} here: {hint}")


def _is_glob(name: str) -> bool:
    return any(sign in name for sign in "*?[")


@dataclass(frozen=True, slots=True)
class Rules:
    """A table of rules: rows by provider, general ones first."""

    rows: Mapping[str, tuple[Row, ...]]
    _found: dict[tuple[str, str], ModelRule] = field(default_factory=dict, repr=False, compare=False)

    def merged(self, other: Rules) -> Rules:
        """These rules with `other`'s rows behind them, so that those win."""
        providers = dict.fromkeys((*self.rows, *other.rows))
        return Rules({name: (*self.rows.get(name, ()), *other.rows.get(name, ())) for name in providers})

    def rule(self, provider: str, model: str) -> ModelRule:
        """What is known of this model: every row that matches, the later over the earlier."""
        if (found := self._found.get((provider, model))) is None:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            found = self._found[provider, model] = self._laid_together(provider, model)
        return found

    def _laid_together(self, provider: str, model: str) -> ModelRule:
        name = model.removeprefix("models/")  # so Google's own lists write them
        fields: dict[str, object] = {}
        for row in self.rows.get(provider, ()):
            if not row.matches(name):
                continue
            for key, value in row.fields.items():
                below = fields.get(key)
                fields[key] = below | value if isinstance(below, dict) and isinstance(value, dict) else value
        return msgspec.convert(fields, ModelRule)

    def default_model(self, provider: str, *, embeddings: bool = False) -> str | None:
        """The last row's model that is marked as default, of those that chat or of those that embed."""
        marked = (row.models[0] for row in reversed(self.rows.get(provider, ())) if row.default)
        return next((name for name in marked if (self.rule(provider, name).embeddings is not None) == embeddings), None)

    def known_models(self, provider: str) -> tuple[str, ...]:
        """The names in the rows, in their order, without globs and without models that are retired or will be."""
        names = dict.fromkeys(name for row in self.rows.get(provider, ()) for name in row.models if not _is_glob(name))
        return tuple(name for name in names if self.rule(provider, name).retired is None)
