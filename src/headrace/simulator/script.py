"""
What a simulated model says, and how its events are written: values only.

A `Script` is one answer: words, reasoning, tool calls, ending, timing, and at most one fault. What it leaves open is
filled from a seeded generator, so that the same seed gives the same answer on a socket and in memory. Knows no vendor's
format. Framing rules: WHATWG HTML, 9.2.6 "Interpreting an event stream".
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from .faults import Fault

__all__ = ("Citation", "Framing", "LineEnd", "Script", "Tokens", "prose", "split_words")

LineEnd: TypeAlias = Literal["lf", "crlf", "cr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """
    How well-formed events are written down. A client must read every one of these.

    In a stream of JSON lines a comment is an empty line; what is about fields (ids, retry, no_space, split_data) does
    nothing there.

    Attributes:
        line_end: "lf", "crlf" or "cr"; None is the vendor's own.
        comments: a comment line before every event.
        blank_lines: so many empty lines before the first event.
        bom: a byte order mark at the very start.
        ids, retry: an `id:` line in every event; a `retry:` line in the first.
        no_space: `data:{...}` in place of `data: {...}`.
        split_data: several `data:` lines in every event that carries JSON.
        unknown_events: an event of a type that no client knows, after every second event.
        no_final_blank: the last event is not followed by an empty line, or a last line of JSON by its line end.
    """

    NAME = "framing"

    line_end: LineEnd | None = None
    comments: bool = False
    blank_lines: int = 0
    bom: bool = False
    ids: bool = False
    retry: bool = False
    no_space: bool = False
    split_data: bool = False
    unknown_events: bool = False
    no_final_blank: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """
    What an answer costs, in tokens. Each vendor's format splits it in its own way.

    `prompt` is all input with `cached`; `completion` is all output with `reasoning`.
    """

    prompt: int
    completion: int
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A page that the whole of the words rests on, and what is quoted from it."""

    url: str
    title: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """
    One answer of a simulated model.

    Attributes:
        text: the words; None is what the request holds the model to (a JSON schema, a forced tool), else seeded prose,
            or nothing where there are tool calls, a refusal or an image.
        pieces: the words as they are split over events (then `text` is their sum); None is a seeded split.
        reasoning: the thoughts before the words. OpenAI's chat format has no place for them: only counted there.
        redacted: the thoughts come encrypted, in Anthropic's and OpenAI's formats; elsewhere they are only counted.
        refusal: the words with which the model declines.
        tool_calls: (name, arguments as JSON text) each.
        citations: pages found by the vendor's own search, in the vendor's way of telling them.
        image: the bytes of a PNG that the model draws. In chat formats it is written as aggregators do.
        finish: "stop", "length", "tool_calls", "content_filter", "refusal", or the vendor's own word; None is what
            fits the rest.
        usage: tokens; None is computed.
        first_delay: seconds before the first event; None is the simulator's pace.
        delay: seconds before every other event; None is the simulator's pace.
        model: the model named in the answer; None is the one that was asked for.
        fault: what goes wrong, of `headrace.simulator.faults`.
        status: of the response head.
        headers: put into the response head, over the vendor's.
        framing: how the events are written.
        per_write: so many events are joined in one write and one HTTP chunk.
    """

    text: str | None = None
    pieces: tuple[str, ...] | None = None
    reasoning: str = ""
    redacted: bool = False
    refusal: str = ""
    tool_calls: tuple[tuple[str, str], ...] = ()
    citations: tuple[Citation, ...] = ()
    image: bytes = field(default=b"", repr=False)
    finish: str | None = None
    usage: Tokens | None = None
    first_delay: float | None = None
    delay: float | None = None
    model: str | None = None
    fault: Fault | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    framing: Framing = Framing()
    per_write: int = 1

    def __post_init__(self) -> None:
        if self.pieces is not None and self.text is not None and "".join(self.pieces) != self.text:
            raise ValueError("pieces, joined, are not text: give one of them, or both alike")
        if self.per_write < 1:
            raise ValueError(f"per_write is {self.per_write!r}: a write carries at least one event")
        for name in ("first_delay", "delay"):
            seconds = getattr(self, name)
            if seconds is not None and not 0 <= seconds < float("inf"):
                raise ValueError(f"{name} is {seconds!r}: it must be a number of seconds from 0")

    def words(self, rng: random.Random) -> tuple[str, ...]:
        """The text, piece by piece."""
        if self.pieces is not None:
            return self.pieces
        if self.text is not None:
            return split_words(self.text, rng)
        return () if self.tool_calls or self.refusal or self.image else split_words(prose(rng), rng)

    @property
    def ending(self) -> str:
        """`finish`, or what fits the rest."""
        return self.finish or ("tool_calls" if self.tool_calls else "stop")


# A small mill: it turns seeds into sentences. Some characters take two, three and four bytes in UTF-8, since a reader
# that decodes each piece of bytes alone must be found out.
_WHO: Final = (
    "The miller",
    "Old Jørgen",
    "A heron",
    "The river",
    "Her daughter",
    "The wheel",
    "Señora Núñez",
    "Nobody",
)
_DID: Final = ("opened", "watched", "remembered", "measured", "followed", "repaired", "heard", "painted")
_WHAT: Final = (
    "the sluice before dawn",
    "a channel of clear water",
    "the slow weight of the stones",
    "three boats going downstream",
    "the 水車 in the picture book",
    "a gate that had been shut for years",
    "the spring flood – twice",
    "flour, rain and candlelight ✨",
)
_WHY: Final = (
    "because the barley would not wait",
    "while the valley slept",
    "and wrote it down",
    "as if it were a song 🎶",
    "before the naïve visitors came",
    "and nothing was lost",
)


def prose(rng: random.Random) -> str:
    """A paragraph of four to seven sentences, about 300 characters."""
    sentences = (
        f"{rng.choice(_WHO)} {rng.choice(_DID)} {rng.choice(_WHAT)} {rng.choice(_WHY)}."
        for _ in range(rng.randint(4, 7))
    )
    return " ".join(sentences)


def split_words(text: str, rng: random.Random) -> tuple[str, ...]:
    """`text` in the pieces a model might send: words with the blank before them, some broken in two, some joined."""
    pieces: list[str] = []
    for word in re.findall(r"\s*\S+|\s+", text):
        if len(word) > 6 and rng.random() < 0.3:
            at = rng.randint(2, len(word) - 2)
            pieces += [word[:at], word[at:]]
        elif pieces and rng.random() < 0.15:
            pieces[-1] += word
        else:
            pieces.append(word)
    return tuple(pieces)
