"""Hostile bytes and JSON of wrong shapes: a chunk, a typed error, or nothing; never anything else."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from random import Random

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from headrace import wire

from .mutate import mutated
from .targets import CODECS, CORPUS, TARGETS, Target

every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())


@every_target
def test_the_corpus_passes(target: Target) -> None:
    documents = target.documents()
    assert documents
    for document in documents.values():
        target.run(document)


@every_target
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=False))
def test_what_becomes_of_the_corpus_passes(target: Target, rng: Random) -> None:
    data = mutated(rng, list(target.documents().values()))
    note(repr(data[:2000]))
    target.run(data)


@every_target
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=300))
def test_any_bytes_pass(target: Target, data: bytes) -> None:
    target.run(data)


def test_every_codec_has_a_row() -> None:
    modules = [importlib.import_module(f"headrace.wire.{found.name}") for found in pkgutil.iter_modules(wire.__path__)]
    made = {
        kind
        for module in modules
        for kind in vars(module).values()
        if inspect.isclass(kind) and kind.__module__ == module.__name__ and hasattr(kind, "decode_body")
    } - {importlib.import_module("headrace.wire._codec").Codec}
    assert {type(row.codec) for row in CODECS.values()} == made


def test_every_document_belongs_to_a_target() -> None:
    folders = {path.parent for path in CORPUS.rglob("*") if path.is_file()}
    assert folders == {CORPUS / target.folder for target in TARGETS.values()}
    assert max(path.stat().st_size for path in CORPUS.rglob("*")) < 8192
