"""
From a request and a script to the steps of its answer. Pure: time and randomness come with the `Turn`.

Two kinds of answers: streams of events, and bodies of a known length (plain JSON, refusals, model lists).
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Iterator
from email.utils import formatdate
from typing import Final

from . import faults
from .disrupt import disrupted, pieced, spoiled, written
from .steps import Cut, Frame, Head, Hold, Loose, Piece, Step, Wait
from .vendors._base import Headers, Refusal, Turn, Vendor

__all__ = ("answer", "json_answer", "refusal_answer")

_JSON: Final = ("content-type", "application/json")
_HTML: Final = (
    b"<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head>\n"
    b"<body><h1>Checking your browser</h1><p>This may take a few seconds.</p></body></html>\n"
)
_WAIT: Final = 2.0  # seconds told by a refusal whose script names none
_WAITING: Final = frozenset({429, 503, 529})
_KINDS: Final = {"overloaded": 503, "rate_limit": 429, "api": 500}


def answer(turn: Turn, vendor: Vendor, limits: Headers, *, stream: bool, pace: float) -> Iterator[Step]:
    """The steps that play the turn's script. `limits` are the rate-limit headers; `pace` is seconds between events."""
    script = turn.script
    common = (*_common(turn.now), *vendor.headers(turn.rng), *limits)
    match script.fault:
        case faults.NoHead() as fault:
            return iter([Cut(reset=fault.reset)])
        case faults.Stall(before_head=True):
            return iter([Hold()])
        case faults.Redirect() as fault:
            return _whole(fault.status, (("location", fault.location), *common), b"")
        case faults.HtmlBody():
            return _whole(script.status, (("content-type", "text/html; charset=utf-8"), *common), _HTML)
        case faults.JsonBody():
            return _error(turn, vendor, Refusal(503), common)
        case faults.ErrorEvent() as fault if not stream:
            return _error(turn, vendor, Refusal(_KINDS[fault.kind], code=fault.code), common)
        case faults.Refuse() as fault:
            return _refused(fault, vendor, common)
        case _:
            pass
    api = turn.route.api or vendor
    breaks = script.fault
    if stream:
        loose = api.posted(_paced(disrupted(api.frames(turn), turn, api), turn, pace))
        steps = written(loose, script.framing, api)
        head = Head(script.status, (("content-type", api.stream_type), ("cache-control", "no-cache"), *common))
    else:
        text = api.dumps(api.body(turn) if turn.made is None else turn.made)
        data = text.encode()
        frame = Frame(text, text="".join(turn.pieces), reasoning="".join(turn.thoughts))
        steps, length = _plain(Piece(data, ((len(data), frame),)), breaks)
        if isinstance(breaks, faults.TruncatedGzip | faults.GzipBomb):
            breaks = dataclasses.replace(breaks, after_events=1)  # of its halves
        if script.first_delay:
            steps = iter([Wait(script.first_delay), *steps])
        head = Head(script.status, (_JSON, *common), length)
    return _headed(head, pieced(steps, breaks, script.per_write), turn)


def json_answer(body: object, vendor: Vendor, headers: Headers, now: float) -> Iterator[Step]:
    """A good answer that is not a model's."""
    return _whole(200, (_JSON, *_common(now), *headers), vendor.dumps(body).encode())


def refusal_answer(
    refusal: Refusal, vendor: Vendor, rng: random.Random, headers: Headers, now: float
) -> Iterator[Step]:
    """A refusal in the vendor's shape."""
    own = vendor.headers(rng)
    told, body = vendor.refusal(_signed(refusal, own))
    return _whole(refusal.status, (_JSON, *_common(now), *own, *headers, *told), vendor.dumps(body).encode())


def _signed(refusal: Refusal, headers: Headers) -> Refusal:
    return dataclasses.replace(refusal, request_id=dict(headers).get("request-id", ""))


def _common(now: float) -> Headers:
    return (("date", formatdate(now, usegmt=True)),)


def _error(turn: Turn, vendor: Vendor, refusal: Refusal, common: Headers) -> Iterator[Step]:
    """An error where an answer should be."""
    _, body = vendor.refusal(refusal)
    return _whole(turn.script.status, (_JSON, *common), vendor.dumps(body).encode())


def _whole(status: int, headers: Headers, body: bytes) -> Iterator[Step]:
    yield Head(status, headers, len(body))
    if body:
        yield Piece(body)


def _refused(fault: faults.Refuse, vendor: Vendor, common: Headers) -> Iterator[Step]:
    wait = fault.retry_after
    if wait is None and fault.status in _WAITING and fault.kind == "rate":
        wait = _WAIT
    refusal = Refusal(
        fault.status, fault.kind, code=fault.code, wait=wait, wait_ms=fault.retry_after_ms, shape=fault.shape
    )
    told, content = vendor.refusal(_signed(refusal, common))
    body, kind = vendor.dumps(content).encode(), _JSON
    if fault.body == "html":
        body, kind = _HTML, ("content-type", "text/html; charset=utf-8")
    elif fault.body == "empty":
        body = b""
    yield Head(fault.status, (kind, *common, *told), len(body))
    match fault.body:
        case "stall" | "cut" | "reset":
            yield Piece(body[: len(body) // 2])
            yield Hold() if fault.body == "stall" else Cut(reset=fault.body == "reset")
        case "whole" | "html" | "empty":
            yield Piece(body)


def _headed(head: Head, steps: Iterator[Step], turn: Turn) -> Iterator[Step]:
    """The head with what the script and its fault change in it, then the body."""
    fault, own = turn.script.fault, turn.script.headers
    length, true = head.length, True
    headers = tuple((name, value) for name, value in head.headers if name not in {key.lower() for key in own})
    headers += tuple((key.lower(), value) for key, value in own.items())
    if isinstance(fault, faults.Gzip | faults.TruncatedGzip | faults.GzipBomb):
        headers, length = (*headers, ("content-encoding", "gzip")), None
    if isinstance(fault, faults.WrongLength):
        steps = iter(body := list(steps))
        length = max(0, sum(len(step.data) for step in body if isinstance(step, Piece)) + fault.by)
        true = False
    yield dataclasses.replace(head, headers=headers, length=length, true=true)
    yield from steps


def _plain(piece: Piece, fault: faults.Fault | None) -> tuple[Iterator[Step], int | None]:
    """A plain JSON body: it has no events, so a fault strikes in its middle. Steps, and the length to tell."""
    half = piece.split(len(piece.data) // 2)[0]
    match fault:
        case faults.CutFin(at_byte=None) | faults.CutRst(at_byte=None):
            return iter([half, Cut(reset=isinstance(fault, faults.CutRst))]), len(piece.data)
        case faults.Stall() | faults.Pings():
            return iter([half, Hold()]), len(piece.data)
        case faults.LateFirst():
            return iter([Wait(fault.seconds), piece]), len(piece.data)
        case faults.CleanEnd() | faults.Malformed():
            return iter([half]), None
        case faults.BadUtf8():
            return iter([half, Piece(b"\xff" + piece.data[len(half.data) :])]), None
        case faults.LoneSurrogate() | faults.HugeEvent() as fault:
            frame = spoiled(piece.marks[0][1], fault)
            data = frame.data.encode()
            return iter([Piece(data, ((len(data), frame),))]), len(data)
        case faults.TruncatedGzip() | faults.GzipBomb():
            return iter(piece.split(len(half.data))), None
        case _:
            return iter([piece]), len(piece.data)


def _paced(loose: Iterable[Loose], turn: Turn, pace: float) -> Iterator[Loose]:
    """
    With a wait before every event.

    What the script says holds exactly. A simulator's pace is a model's: uneven, slow before the first content, and
    nothing but content waits.
    """
    script, rng = turn.script, random.Random(turn.ident)
    first, begun = True, False
    for item in loose:
        if isinstance(item, Frame) and item.is_event:
            seconds = script.first_delay if first else script.delay
            first = False
            if seconds is None and pace and item.is_content:
                seconds = pace * (rng.uniform(0.2, 1.8) if begun else rng.uniform(5.0, 12.0))
            begun = begun or item.is_content
            if seconds:
                yield Wait(seconds)
        yield item
