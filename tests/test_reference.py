"""docs/reference/providers.md says what the code does: it is made by docs/make_providers.py, and made anew here."""

from __future__ import annotations

import runpy
from dataclasses import fields
from pathlib import Path

import pytest

from headrace import GenerationConfig
from headrace.providers import PROVIDERS
from headrace.providers._hosts import HOSTS

DOCS = Path(__file__).parent.parent / "docs"
MAKER = runpy.run_path(str(DOCS / "make_providers.py"))

# What a format neither takes nor refuses nor tells. Each is to go; none may come.
# The signature of reasoning, where its words go back: no server of Ollama's knows one.
LOST = {("reasoning given back: signed", "ollama")}


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table below a heading, its head first."""
    lines = page.partition(f"## {heading}\n")[2].partition("\n## ")[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("|") and "---" not in line]


def test_the_page_is_current() -> None:
    written = (DOCS / "reference" / "providers.md").read_text(encoding="utf-8")
    current = written == MAKER["page"]()
    assert current, "docs/reference/providers.md is not what the code does: run `make reference`"


def test_the_page_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = MAKER["page"]()
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_HOST", "XAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.setenv(name, "http://elsewhere:1")
    assert MAKER["page"]() == before


def test_every_provider_and_every_known_server_has_its_row() -> None:
    page = MAKER["page"]()
    assert [row[0] for row in rows(page, "Where they are")[1:]] == list(PROVIDERS)
    assert [row[0] for row in rows(page, "Compatible servers")[1:]] == list(HOSTS)


def test_every_option_is_tried_or_known_to_be_no_formats_business() -> None:
    tried = {probe.option for probe in MAKER["options"]()}
    assert tried | set(MAKER["EVERYWHERE"]) == {field.name for field in fields(GenerationConfig)}
    assert not tried & set(MAKER["EVERYWHERE"])


def test_no_option_is_lost_and_nothing_more_of_a_conversation_than_is_known() -> None:
    lost = {
        (probe.title, name)
        for name, provider in MAKER["formats"]().items()
        for probe in (*MAKER["options"](), *MAKER["parts"]())
        if MAKER["tried"](provider, probe) == MAKER["LOST"]
    }
    assert lost <= LOST


@pytest.mark.parametrize(
    ("heading", "row", "column", "cell"),
    [
        ("Options", "`top_k`", "anthropic", "yes"),
        ("Options", "`top_k`", "openai, chat", "–"),
        ("Options", "`seed`", "openai, responses", "–"),
        ("Messages", "image: URL", "ollama", "–"),
        ("Messages", "cache breakpoint", "gemini", "left out"),
        ("Formats", "ollama", "streams are", "`application/x-ndjson`"),
        ("What they can do", "`embed()`", "anthropic", "–"),
        ("What they can do", "`list_models()`", "ollama", "yes"),
        ("Where they are", "ollama", "default model", "found by asking"),
        ("Compatible servers", "mistral", "key", "`MISTRAL_API_KEY`"),
        ("Compatible servers", "together", "takes, too", "`top_k`"),
        ("Compatible servers", "azure", "takes, too", "`cache` (key); `cache` in responses (key)"),
        ("Compatible servers", "groq", "does not take", "`metadata` (user_id, any key); author's name"),
    ],
    ids=lambda value: str(value).strip("`"),
)
def test_the_generator_sees(heading: str, row: str, column: str, cell: str) -> None:
    head, *body = rows(MAKER["page"](), heading)
    head = ["", *head] if len(head) < len(body[0]) else head  # the first cell of the head is empty
    (found,) = [dict(zip(head, cells, strict=True))[column] for cells in body if cells[0] == row]
    assert found == cell
