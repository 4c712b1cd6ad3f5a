"""
What faults and framing do to a good stream: frames in, steps out.

Three layers, each a generator: events are dropped, added, spoiled or delayed (`disrupted`); written down (`written`);
the bytes are joined, broken or cut (`pieced`). Lazy, since pings come for ever. Knows a vendor only as an `Api`.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from . import faults
from .script import Framing
from .steps import Cut, Frame, Hold, Loose, Piece, Step, Wait
from .vendors._base import COMMENT, Api, Turn

__all__ = ("disrupted", "pieced", "spoiled", "written")

ENDS: Final = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}
SPOT: Final = "\ue000"  # a private-use character: where a bad byte will stand
BLOCK: Final = 2**20

Spoiling: TypeAlias = faults.Malformed | faults.BadUtf8 | faults.LoneSurrogate | faults.HugeEvent


# ---------------------------------------------------------------- events


def disrupted(frames: list[Frame], turn: Turn, api: Api) -> Iterator[Loose]:
    """The events as the script's fault leaves them."""
    match turn.script.fault:
        case faults.CutFin(at_byte=None) | faults.CutRst(at_byte=None) as fault:
            return _stopped(frames, fault, [Cut(reset=isinstance(fault, faults.CutRst))])
        case faults.Stall(before_head=False) as fault:
            return _stopped(frames, fault, [Hold()])
        case faults.Pings() as fault:
            ping = COMMENT if fault.comments else api.ping()
            return _stopped(frames, fault, _for_ever(ping, fault.interval))
        case faults.CleanEnd(after_events=None, after_pieces=None) as fault:
            return iter(_shortened(frames, fault.drop))
        case faults.CleanEnd() as fault:
            return _stopped(frames, fault, [])
        case faults.LateFirst() as fault:
            return _late(frames, fault.seconds)
        case faults.ErrorEvent() as fault:
            at = _position(frames, fault)
            rest = {"nothing": [], "content": frames[at:], "tail": [f for f in frames if f.kind == "tail"]}[fault.then]
            if fault.shape == "beside" and fault.then == "nothing":
                rest = [f for f in frames if f.kind == "tail"]
            return iter([*frames[:at], *api.errors(turn, fault.code or fault.kind, fault.shape), *rest])
        case faults.DuplicateFinish():
            return _after_finish(frames, [f for f in frames if f.kind == "finish"][-1:])
        case faults.ContentAfterFinish() as fault:
            return _after_finish(frames, api.more(turn, fault.text))
        case faults.ErrorAfterFinish() as fault:
            return _after_finish(frames, [api.error_frame(fault.kind, "usual")])
        case faults.Malformed() | faults.BadUtf8() | faults.LoneSurrogate() | faults.HugeEvent() as fault:
            return _spoiled(frames, fault)
        case _:
            return iter(frames)


def _position(frames: list[Frame], fault: faults._At | faults.CleanEnd) -> int:
    """The index of the frame before which the fault strikes."""
    if fault.after_pieces is not None:
        wanted, counts = fault.after_pieces, [frame.is_content for frame in frames]
    else:
        wanted, counts = fault.after_events or 0, [frame.is_event for frame in frames]
    seen = 0
    for index, counted in enumerate(counts):
        if seen >= wanted:
            return index
        seen += counted
    return len(frames)


def _stopped(frames: list[Frame], fault: faults._At | faults.CleanEnd, then: Iterable[Loose]) -> Iterator[Loose]:
    yield from frames[: _position(frames, fault)]
    yield from then


def _for_ever(ping: Frame, interval: float) -> Iterator[Loose]:
    while True:
        yield Wait(interval)
        yield ping


def _shortened(frames: list[Frame], drop: str) -> list[Frame]:
    if drop == "tail":
        return [frame for frame in frames if frame.kind != "tail"]
    if drop == "finish":
        return [frame for frame in frames if frame.kind != "finish"]
    proof = next((index for index, frame in enumerate(frames) if frame.kind == "finish"), len(frames))
    return frames[:proof]


def _late(frames: list[Frame], seconds: float) -> Iterator[Loose]:
    late = False
    for frame in frames:
        if frame.is_content and not late:
            late = True
            yield Wait(seconds)
        yield frame


def _after_finish(frames: list[Frame], more: list[Frame]) -> Iterator[Loose]:
    finish = max((index for index, frame in enumerate(frames) if frame.kind == "finish"), default=len(frames) - 1)
    yield from frames[: finish + 1]
    yield from more
    yield from frames[finish + 1 :]


def _spoiled(frames: list[Frame], fault: Spoiling) -> Iterator[Loose]:
    """One event, the first with words from the position on, is made unreadable; the rest is good."""
    start = _position(frames, fault)
    at = next((i for i in range(start, len(frames)) if frames[i].text), min(start, len(frames) - 1))
    yield from frames[:at]
    yield spoiled(frames[at], fault)
    yield from frames[at + 1 :]


def spoiled(frame: Frame, fault: Spoiling) -> Frame:
    """The event, made unreadable."""
    match fault:
        case faults.Malformed():
            return dataclasses.replace(_bare(frame), data=frame.data[: len(frame.data) // 2])
        case faults.BadUtf8():
            return dataclasses.replace(_with_words(frame, SPOT), swap=(SPOT.encode(), b"\xff"))
        case faults.LoneSurrogate():
            return _with_words(frame, r"\ud83d")
        case faults.HugeEvent():
            huge = "x" * fault.size
            return dataclasses.replace(_with_words(frame, huge), text=frame.text + huge)


def _bare(frame: Frame) -> Frame:
    return dataclasses.replace(frame, text="", reasoning="", kind="fault")


def _with_words(frame: Frame, words: str) -> Frame:
    """The frame with `words`, as JSON text, added to its own. It no longer counts as words sent."""
    literal = json.dumps(frame.text, ensure_ascii=False)
    at = frame.data.rfind(literal) + len(literal) - 1 if frame.text else frame.data.rfind('"')
    return dataclasses.replace(_bare(frame), data=frame.data[:at] + words + frame.data[at:])


# ---------------------------------------------------------------- writing


def written(loose: Iterable[Loose], framing: Framing, api: Api) -> Iterator[Step]:
    """The events as bytes, one piece each."""
    end, encoded = ENDS[framing.line_end or api.line_end], _line if api.json_lines else _encoded
    lead = ("\ufeff" if framing.bom else "") + end * framing.blank_lines
    events = 0
    held: Piece | None = None  # only the last event may go without its empty line, and one sees too late that it was
    for item in loose:
        if not isinstance(item, Frame):
            if held is not None:
                yield held
                held = None
            yield item
            continue
        data = (lead + encoded(item, framing, end, events)).encode("utf-8")
        if item.swap is not None:
            data = data.replace(*item.swap)
        mark = len(data) - data.endswith(b"\r\n")  # the CR ends the empty line, whatever comes after it
        if framing.unknown_events and events % 2 == 1 and item.is_content:
            data += encoded(api.unknown(), framing, end, events).encode("utf-8")
        lead, events = "", events + 1
        piece = Piece(data, ((mark, item),))
        if not framing.no_final_blank:
            yield piece
            continue
        if held is not None:
            yield held
        held = piece
    if held is not None:
        data = held.data.removesuffix(end.encode())
        yield Piece(data, tuple((min(mark, len(data)), frame) for mark, frame in held.marks))


def _line(frame: Frame, framing: Framing, end: str, index: int) -> str:  # noqa: ARG001  # as `_encoded`
    """JSON lines have no fields: what is no object, and a comment too, is an empty line."""
    return (end if framing.comments else "") + (frame.data if frame.raw is None else "") + end


def _encoded(frame: Frame, framing: Framing, end: str, index: int) -> str:
    comment = f": {index}{end}" if framing.comments else ""
    if frame.raw is not None:
        return comment + frame.raw.replace("\n", end)
    lines = [f"event: {frame.event}"] if frame.event is not None else []
    if framing.ids:
        lines.append(f"id: {index}")
    if framing.retry and index == 0:
        lines.append("retry: 3000")
    payload = [frame.data]
    if framing.split_data and frame.data.startswith("{"):
        payload = ["{", frame.data[1:-1], "}"] if frame.data.endswith("}") else ["{", frame.data[1:]]
    lines += [f"{frame.field}:{'' if framing.no_space else ' '}{part}" for part in payload]
    return comment + "".join(line + end for line in lines) + end


# ---------------------------------------------------------------- bytes


def pieced(steps: Iterable[Step], fault: faults.Fault | None, per_write: int) -> Iterator[Step]:
    """The bytes as they are handed to the socket."""
    match fault:
        case faults.CutFin(at_byte=int() as at) | faults.CutRst(at_byte=int() as at):
            steps = _cut_at(steps, at, Cut(reset=isinstance(fault, faults.CutRst)))
        case faults.OneByteWrites():
            return _broken(steps, lambda data: range(1, len(data)))
        case faults.SplitChars():
            return _broken(steps, _inside_characters)
        case faults.Gzip():
            return _compressed(steps)
        case faults.TruncatedGzip():
            return _truncated(_compressed(steps, whole=False), fault.after_events)
        case faults.GzipBomb():
            return _compressed(steps, fault)
        case _:
            pass
    return _joined(steps, per_write) if per_write > 1 else iter(steps)


def _joined(steps: Iterable[Step], per_write: int) -> Iterator[Step]:
    data, marks = b"", list[tuple[int, Frame]]()
    for step in steps:
        if isinstance(step, Piece):
            marks += [(len(data) + end, frame) for end, frame in step.marks]
            data += step.data
            if len(marks) < per_write:
                continue
        if data:
            yield Piece(data, tuple(marks))
            data, marks = b"", []
        if not isinstance(step, Piece):
            yield step
    if data:
        yield Piece(data, tuple(marks))


def _cut_at(steps: Iterable[Step], at: int, cut: Cut) -> Iterator[Step]:
    for step in steps:
        if isinstance(step, Piece):
            if len(step.data) > at:
                if at:
                    yield step.split(at)[0]
                break
            at -= len(step.data)
        yield step
    yield cut


def _broken(steps: Iterable[Step], places: Callable[[bytes], Iterable[int]]) -> Iterator[Step]:
    for step in steps:
        if not isinstance(step, Piece):
            yield step
            continue
        rest, done = step, 0
        for place in places(step.data):
            first, rest = rest.split(place - done)
            done = place
            yield first
        yield rest


def _inside_characters(data: bytes) -> Iterator[int]:
    return (at for at in range(1, len(data)) if data[at] & 0xC0 == 0x80 and data[at - 1] & 0xC0 != 0x80)


def _compressed(steps: Iterable[Step], bomb: faults.GzipBomb | None = None, *, whole: bool = True) -> Iterator[Step]:
    """
    Gzip, flushed after every event so that each can be read as soon as it came (RFC 1952, RFC 1951 2.3).

    What is not `whole` lacks its trailer.
    """
    packer = zlib.compressobj(wbits=31)
    events = 0
    for step in steps:
        if not isinstance(step, Piece):
            yield step
            continue
        if bomb is not None and events == bomb.after_events:
            yield from _blown_up(packer, bomb.size)
        events += 1
        data = packer.compress(step.data) + packer.flush(zlib.Z_SYNC_FLUSH)
        yield Piece(data, tuple((len(data), frame) for _, frame in step.marks))
    if bomb is not None and events <= bomb.after_events:
        yield from _blown_up(packer, bomb.size)
    if whole:
        yield Piece(packer.flush())


def _blown_up(packer: zlib._Compress, size: int) -> Iterator[Piece]:
    yield Piece(packer.compress(b"data: "))
    block = b"0" * BLOCK
    for start in range(0, size, BLOCK):
        yield Piece(packer.compress(block[: size - start]))
    last = packer.compress(b"\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    yield Piece(last, ((len(last), Frame(kind="fault")),))


def _truncated(steps: Iterable[Step], after_events: int) -> Iterator[Step]:
    for step in steps:
        if isinstance(step, Piece):
            if after_events <= 0:
                yield step.split(len(step.data) // 2)[0]
                return
            after_events -= 1
        yield step
