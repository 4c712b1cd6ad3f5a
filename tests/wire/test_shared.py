"""The words of any error body, inline data, and requests that have no JSON form."""

from __future__ import annotations

import time
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import errors
from headrace._types import ImagePart
from headrace.wire._refusal import refusal
from headrace.wire._shared import data_uri, dump, error_text, inline, usage


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"error":{"message":"a"}}', "a"),
        ('{"error":"a"}', "a"),
        ('{"code":"c","error":"a"}', "a"),
        ('{"message":"a"}', "a"),
        ('{"detail":"a"}', "a"),
        ('{"detail":[{"loc":["body"],"msg":"a"}]}', "a"),
        ('{"detail":[{"loc":["body","tools",0],"msg":"a"}]}', "tools.0: a"),
        ('{"message":{"detail":[{"type":"extra_forbidden","loc":["body","top_k"],"msg":"a"}]}}', "top_k: a"),
        ('[{"error":{"message":"a"}}]', "a"),
        ('{"error":{"message":"{\\"error\\":{\\"message\\":\\"a\\"}}"}}', "a"),
        ('{"error":{"message":"b","metadata":{"raw":"{\\"error\\":{\\"message\\":\\"a\\"}}"}}}', "b: a"),
        ('"a"', "a"),
        ('{"status":7}', '{"status":7}'),
        ("<html><head><title>502 Bad\nGateway &amp; co</title></head><body>x</body></html>", "502 Bad Gateway & co"),
        ("<h1>Nope</h1><p>really", "Nope really"),
        ("  plain\r\n text\x00\x1b[31m ", "plain text [31m"),
        ("", ""),
        ('{"error":{"mess', '{"error":{"mess'),
    ],
)
def test_the_vendors_words_are_found(body: str, words: str) -> None:
    assert error_text(body) == words


@given(st.text())
def test_words_are_one_printable_line(body: str) -> None:
    words = error_text(body)
    assert not words or (words.isprintable() and len(words) <= 500)


@pytest.mark.parametrize("body", ["<" * 65536, "<title" * 10922, "[" * 65536, '{"error":' * 7281, "<a " * 21845])
def test_hostile_bodies_cost_next_to_nothing(body: str) -> None:
    began = time.perf_counter()
    assert len(error_text(body)) <= 500
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    ("part", "found"),
    [
        (ImagePart(b"\x00\xff", "image/png"), ("image/png", "AP8=")),
        (ImagePart("data:image/png;base64,AP8="), ("image/png", "AP8=")),
        (ImagePart("DATA:image/png;charset=x;BASE64,AP8=", "image/gif"), ("image/gif", "AP8=")),
        (ImagePart("https://x/a,b"), None),
        (ImagePart("data:image/svg+xml,<svg/>"), None),
    ],
    ids=["bytes", "data-uri", "media-type-wins", "url", "not-base64"],
)
def test_inline_data(part: ImagePart, found: tuple[str, str] | None) -> None:
    assert inline(part, provider="x") == found
    assert data_uri("image/png", "AP8=") == "data:image/png;base64,AP8="


def test_a_path_that_reaches_the_encoder_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="still holds a Path"):
        inline(ImagePart(Path("x.png")), provider="x")


def test_any_mapping_can_be_sent() -> None:
    assert dump({"schema": MappingProxyType({"a": (1, 2)})}, provider="x") == b'{"schema":{"a":[1,2]}}'


@pytest.mark.parametrize(
    ("value", "words"),
    [("half \ud83d", "surrogate pair"), (object(), "no JSON form"), ({1j: 2}, "no JSON form")],
    ids=["surrogate", "object", "key"],
)
def test_what_has_no_json_form_is_the_callers_error(value: object, words: str) -> None:
    with pytest.raises(errors.CallerError, match=words):
        dump({"x": value}, provider="x")


def test_a_total_is_the_sum_only_of_what_is_known() -> None:
    assert usage(prompt=2, completion=3)["total_tokens"] == 5
    assert usage(prompt=2)["total_tokens"] is None
    assert usage(prompt=2, completion=3, total=9)["total_tokens"] == 9


def test_a_redirect_names_the_host_alone() -> None:
    headers = {"location": "https://user:pw@login.example/a?token=secret"}
    text = str(refusal(errors.RedirectError, provider="x", words="", status=302, headers=headers))
    assert text.startswith("x: the address answers with a redirect (HTTP 302, to login.example). It is not followed")


def test_an_unexpected_answer_names_its_content_type() -> None:
    headers = {"content-type": "text/html"}
    text = str(refusal(errors.UnexpectedResponseError, provider="x", words="Sign in", headers=headers))
    assert text.startswith("x: the answer is no event stream: Sign in (HTTP 200, content-type text/html). ")
