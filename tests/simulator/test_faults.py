"""Every fault, as bytes on a socket, and the ground truth that is kept of it."""

from __future__ import annotations

import json
import zlib

import anyio
import pytest

from headrace.simulator import Script, Simulator, faults

from .raw import VENDORS, connect, fetch

SCRIPT = Script(pieces=("One", " two", " thrée", " four"), finish="stop")


def contents(events: list[bytes]) -> list[str | None]:
    """The `delta.content` of OpenAI's chunks, None where there is none."""
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events if not event.startswith(b"data: [DONE]")]
    return [chunk["choices"][0]["delta"].get("content") for chunk in chunks]


@pytest.mark.parametrize("name", ["cut-fin", "cut-rst"])
async def test_a_cut_comes_after_so_many_events_and_never_ends_the_body(name: str) -> None:
    async with Simulator() as sim:
        sim.play("openai", SCRIPT)
        answer = await fetch(sim, "openai", fault=f"{name}; after_events=3")
        assert answer.end == name.removeprefix("cut-")
        assert contents(answer.events) == ["", "One", " two"]
        assert answer.body == b"".join(answer.events)
        (exchange,) = sim.exchanges
        assert (exchange.text_sent, exchange.events_sent, exchange.ended) == ("One two", 3, "cut")
        assert exchange.bytes_sent == len(answer.body)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_cut_counted_in_content_events_strikes_every_vendor_after_the_same_words(vendor: str) -> None:
    async with Simulator() as sim:
        sim.play(vendor, Script(pieces=("One", " two", " three"), fault=faults.CutFin(after_pieces=2)))
        answer = await fetch(sim, vendor)
        assert (answer.status, answer.end) == (200, "fin")
        assert b" two" in answer.body
        assert b" three" not in answer.body
        assert sim.exchanges[0].text_sent == "One two"


@pytest.mark.parametrize("name", ["cut-fin", "cut-rst"])
@pytest.mark.parametrize("at", [0, 1, 500])
async def test_a_cut_at_a_byte_leaves_exactly_so_many_bytes(name: str, at: int) -> None:
    async with Simulator() as sim:
        sim.play("openai", SCRIPT)
        answer = await fetch(sim, "openai", fault=f"{name}; at_byte={at}")
        assert (len(answer.body), answer.end) == (at, name.removeprefix("cut-"))
        (exchange,) = sim.exchanges
        assert (exchange.bytes_sent, exchange.events_sent) == (at, answer.body.count(b"\n\n"))


async def test_words_count_only_with_the_empty_line_after_them() -> None:
    async with Simulator(seed=7) as first, Simulator(seed=7) as second:
        first.play("openai", SCRIPT)
        second.play("openai", SCRIPT)
        whole = await fetch(first, "openai")
        two_events = len(whole.events[0]) + len(whole.events[1])
        answer = await fetch(second, "openai", fault=f"cut-fin; at_byte={two_events - 1}")
        assert b'"content":"One"' in answer.body
        assert second.exchanges[0].events_sent == 1
        assert second.exchanges[0].text_sent == ""


@pytest.mark.parametrize(("reset", "end"), [(0, "fin"), (1, "rst")], ids=["fin", "rst"])
async def test_no_head_closes_before_a_byte(reset: int, end: str) -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "grok", fault=f"no-head; reset={reset}")
        assert (answer.status, answer.end) == (0, end)
        assert (sim.exchanges[0].status, sim.exchanges[0].ended) == (None, "cut")


async def test_a_content_length_that_is_too_long_ends_in_a_fin() -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "openai", fault="wrong-length; by=10")
        assert answer.end == "fin"
        assert int(answer.headers["content-length"]) == len(answer.body) + 10
        assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_a_content_length_that_is_too_short_has_bytes_behind_it() -> None:
    async with Simulator() as sim:
        client = await connect(sim)
        async with client.socket:
            await client.ask(sim, "openai", headers={"x-headrace-fault": "wrong-length; by=-10"})
            answer = await client.read()
            assert answer.end == "complete"
            assert not answer.body.endswith(b"data: [DONE]\n\n")
            assert await client.exactly(10) == b": [DONE]\n\n"
            with pytest.raises(anyio.EndOfStream):
                await client.line()


@pytest.mark.parametrize("fault", ["stall; after_events=2", "pings; after_events=2; interval=3600"])
async def test_silence_keeps_the_connection_open_until_the_client_leaves(fault: str) -> None:
    async with Simulator() as sim:
        sim.play("openai", SCRIPT)
        client = await connect(sim)
        async with client.socket:
            await client.ask(sim, "openai", headers={"x-headrace-fault": fault})
            await client.head()
            assert contents([await client.chunk(), await client.chunk()]) == ["", "One"]
            await anyio.wait_all_tasks_blocked()
            (exchange,) = sim.exchanges
            assert (exchange.ended, exchange.text_sent) == ("open", "One")
        await exchange.wait_ended()
        assert exchange.ended == "client left"
        await sim.wait_all_closed()


@pytest.mark.parametrize(
    ("vendor", "comments", "expected"),
    [
        ("anthropic", 0, b'event: ping\ndata: {"type": "ping"}\n\n'),
        ("anthropic", 1, b": keep-alive\n\n"),
        ("openai", 0, b": keep-alive\n\n"),
        ("gemini", 0, b": keep-alive\r\n\r\n"),
    ],
)
async def test_pings_come_for_ever(vendor: str, comments: int, expected: bytes) -> None:
    async with Simulator() as sim:
        client = await connect(sim)
        async with client.socket:
            fault = f"pings; after_events=1; interval=0.001; comments={comments}"
            await client.ask(sim, vendor, headers={"x-headrace-fault": fault})
            await client.head()
            assert b"data:" in await client.chunk()
            assert [await client.chunk() for _ in range(20)] == [expected] * 20
        await sim.exchanges[0].wait_ended()
        assert sim.exchanges[0].ended == "client left"


@pytest.mark.parametrize(
    ("drop", "last"),
    [("proof", b'"content":" four"'), ("tail", b'"finish_reason":"stop"'), ("finish", b"data: [DONE]\n\n")],
)
async def test_a_clean_end_leaves_out_proof_or_tail(drop: str, last: bytes) -> None:
    async with Simulator() as sim:
        sim.play("openai", SCRIPT)
        answer = await fetch(sim, "openai", fault=f"clean-end; drop={drop}")
        assert answer.end == "complete"
        assert last in answer.events[-1]
        assert (b"[DONE]" in answer.body, b'"finish_reason":"stop"' in answer.body) == (
            drop == "finish",
            drop == "tail",
        )
        assert sim.exchanges[0].text_sent == "One two thrée four"


@pytest.mark.parametrize(
    ("vendor", "drop", "last"),
    [
        ("anthropic", "proof", b"content_block_stop"),
        ("anthropic", "tail", b"message_delta"),
        ("gemini", "proof", b" two"),
    ],
)
async def test_a_clean_end_knows_each_vendors_proof(vendor: str, drop: str, last: bytes) -> None:
    async with Simulator() as sim:
        sim.play(vendor, Script(pieces=("One", " two", " three")))
        answer = await fetch(sim, vendor, fault=f"clean-end; drop={drop}")
        assert answer.end == "complete"
        assert last in answer.chunks[-1]


ERRORS = {
    ("anthropic", "overloaded", "usual"): (
        b"event: error\n"
        b'data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":null}\n\n'
    ),
    ("anthropic", "rate_limit", "usual"): (
        b'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error",'
        b'"message":"This request would exceed your organization\'s rate limit."},"request_id":null}\n\n'
    ),
    ("anthropic", "api", "usual"): (
        b"event: error\n"
        b'data: {"type":"error","error":{"type":"api_error","message":"Internal server error"},"request_id":null}\n\n'
    ),
    ("openai", "api", "usual"): (
        b'data: {"error":{"message":"The server had an error while processing your request. Sorry about that!",'
        b'"type":"server_error","param":null,"code":null}}\n\n'
    ),
    ("openai", "rate_limit", "field"): (
        b'error: {"error":{"message":"Rate limit reached.","type":"requests",'
        b'"param":null,"code":"rate_limit_exceeded"}}\n\n'
    ),
    ("openai", "rate_limit", "beside"): (
        b'data: {"id":"gen-1","error":{"code":429,"message":"Rate limit reached."},'
        b'"choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]}\n\n'
    ),
    ("gemini", "overloaded", "usual"): (
        b'{\r\n  "error": {\r\n    "code": 503,\r\n'
        b'    "message": "The model is overloaded. Please try again later.",\r\n'
        b'    "status": "UNAVAILABLE"\r\n  }\r\n}\r\n'
    ),
    ("grok", "overloaded", "usual"): (
        b'data: {"code":"The service is currently unavailable",'
        b'"error":"The model is at capacity, try again later."}\n\n'
    ),
    ("grok", "api", "nested"): (
        b'data: {"error":{"message":"The server had an error while processing your request. Sorry about that!",'
        b'"type":"server_error","param":null,"code":null}}\n\n'
    ),
}


@pytest.mark.parametrize(("vendor", "kind", "shape"), ERRORS, ids="-".join)
async def test_an_error_event_has_its_vendors_shape(vendor: str, kind: str, shape: str) -> None:
    async with Simulator() as sim:
        sim.play(vendor, Script(pieces=("One", " two", " three")))
        answer = await fetch(sim, vendor, fault=f"error-event; kind={kind}; shape={shape}; after_pieces=1")
        expected = ERRORS[vendor, kind, shape]
        assert (answer.status, answer.end) == (200, "complete")
        if shape == "beside":  # aggregators end as if all were well
            assert answer.chunks.pop() == b"data: [DONE]\n\n"
        assert answer.chunks[-1] == expected
        assert sim.exchanges[0].text_sent == sim.exchanges[0].text_before_fault == "One"


async def test_content_may_follow_an_error_and_is_told_apart() -> None:
    async with Simulator() as sim:
        sim.play("openai", SCRIPT)
        answer = await fetch(sim, "openai", fault="error-event; after_pieces=2; then=content")
        assert answer.body.endswith(b"data: [DONE]\n\n")
        (exchange,) = sim.exchanges
        assert (exchange.text_before_fault, exchange.text_sent) == ("One two", "One two thrée four")


async def test_a_malformed_event_is_cut_inside_its_json() -> None:
    async with Simulator() as sim:
        sim.play("openai", SCRIPT)
        answer = await fetch(sim, "openai", fault="malformed; after_pieces=1")
        with pytest.raises(ValueError, match=r"Unterminated|Expecting|Invalid"):
            json.loads(answer.events[2].removeprefix(b"data: "))
        assert contents([*answer.events[:2], *answer.events[3:]]) == ["", "One", " thrée", " four", None]
        assert sim.exchanges[0].text_sent == "One thrée four"
        assert sim.exchanges[0].text_before_fault == "One"


@pytest.mark.parametrize(
    ("fault", "needle"),
    [("bad-utf8", b'"One\xff"'), ("lone-surrogate", b'"One\\ud83d"')],
    ids=["bad-utf8", "lone-surrogate"],
)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_bad_character_stands_in_the_words_of_one_event(vendor: str, fault: str, needle: bytes) -> None:
    async with Simulator() as sim:
        sim.play(vendor, Script(pieces=("One", " two", " three")))
        answer = await fetch(sim, vendor, fault=f"{fault}; after_events=0")
        assert answer.body.count(needle) == 1
        assert sim.exchanges[0].text_before_fault == ""
        assert sim.exchanges[0].text_sent == " two three"


async def test_a_huge_event_carries_so_many_characters() -> None:
    async with Simulator() as sim:
        sim.play("openai", SCRIPT)
        answer = await fetch(sim, "openai", fault="huge-event; after_pieces=1; size=100000")
        assert contents(answer.events)[:3] == ["", "One", " two" + "x" * 100_000]
        assert sim.exchanges[0].text_before_fault == "One"


async def test_one_byte_writes_are_chunks_of_one_byte() -> None:
    async with Simulator() as sim:
        sim.play("openai", SCRIPT)
        answer = await fetch(sim, "openai", fault="one-byte-writes")
        assert {len(chunk) for chunk in answer.chunks} == {1}
        assert contents(answer.events) == ["", "One", " two", " thrée", " four", None]
        assert sim.exchanges[0].text_sent == "One two thrée four"


async def test_split_characters_are_broken_over_two_chunks() -> None:
    async with Simulator() as sim:
        sim.play("openai", SCRIPT)
        answer = await fetch(sim, "openai", fault="split-chars")
        broken = [index for index, chunk in enumerate(answer.chunks) if chunk.endswith(b"\xc3")]
        assert [answer.chunks[index + 1][:1] for index in broken] == [b"\xa9"]
        assert contents(answer.events) == ["", "One", " two", " thrée", " four", None]


async def test_gzip_is_readable_event_by_event() -> None:
    async with Simulator() as sim:
        sim.play("openai", SCRIPT)
        answer = await fetch(sim, "openai", fault="gzip")
        assert answer.headers["content-encoding"] == "gzip"
        unpacker = zlib.decompressobj(wbits=31)
        assert contents([unpacker.decompress(chunk) for chunk in answer.chunks[:3]]) == ["", "One", " two"]
        assert unpacker.decompress(b"".join(answer.chunks[3:])).endswith(b"data: [DONE]\n\n")
        assert unpacker.eof


async def test_truncated_gzip_ends_inside_an_event_and_http_calls_it_whole() -> None:
    async with Simulator() as sim:
        sim.play("openai", SCRIPT)
        answer = await fetch(sim, "openai", fault="truncated-gzip; after_events=2")
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(answer.body)
        assert answer.end == "complete"
        assert (text.count(b"\n\n"), unpacker.eof) == (2, False)
        assert sim.exchanges[0].text_sent == "One"


@pytest.mark.parametrize(
    ("fault", "needle"),
    [
        ("lone-surrogate", rb"four\ud83d"),
        ("huge-event; size=5000", b"four" + b"x" * 5000),
        ("error-event", b"error"),
        ("error-event; kind=rate_limit", b"error"),
    ],
)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_bad_event_is_in_a_plain_answer_too(vendor: str, fault: str, needle: bytes) -> None:
    async with Simulator() as sim:
        sim.play(vendor, SCRIPT)
        answer = await fetch(sim, vendor, stream=False, fault=fault)
        assert (answer.status, answer.end) == (200, "complete")
        assert needle in answer.body
        assert ("error" in json.loads(answer.body)) == fault.startswith("error-event")
        assert sim.exchanges[0].text_before_fault == ""


@pytest.mark.parametrize("after", [0, 3, 1000])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_bad_gzip_is_bad_wherever_it_strikes(after: int, stream: bool) -> None:
    async with Simulator() as sim:
        sim.play("openai", SCRIPT, SCRIPT)
        cut = await fetch(sim, "openai", stream=stream, fault=f"truncated-gzip; after_events={after}")
        bomb = await fetch(sim, "openai", stream=stream, fault=f"gzip-bomb; size=100000; after_events={after}")
    packed = zlib.decompressobj(wbits=31)
    packed.decompress(cut.body)
    assert (cut.end, packed.eof) == ("complete", False)
    assert b"0" * 100_000 in zlib.decompress(bomb.body, wbits=31)


async def test_a_gzip_bomb_is_small_on_the_wire() -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "openai", fault="gzip-bomb; after_events=1; size=8000000")
        assert len(answer.body) < 20_000
        assert len(zlib.decompress(answer.body, wbits=31)) > 8_000_000
        assert sim.exchanges[0].text_before_fault == ""


async def test_a_duplicate_finish() -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "openai", fault="duplicate-finish")
        assert answer.body.count(b'"finish_reason":"stop"') == 2
        assert answer.events[-3] == answer.events[-2]


@pytest.mark.parametrize(
    ("vendor", "proof"), [("openai", b'"finish_reason":"stop"'), ("anthropic", b'"end_turn"'), ("gemini", b'"STOP"')]
)
async def test_content_after_the_finish_counts_as_sent(vendor: str, proof: bytes) -> None:
    async with Simulator() as sim:
        sim.play(vendor, Script(pieces=("One", " two")))
        answer = await fetch(sim, vendor, fault="content-after-finish")
        assert b" And one word more." in answer.body.partition(proof)[2]
        assert sim.exchanges[0].text_sent == "One two And one word more."


async def test_an_error_after_the_finish() -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "anthropic", fault="error-after-finish; kind=overloaded")
        assert [event.split(b"\n")[0] for event in answer.events[-3:]] == [
            b"event: message_delta",
            b"event: error",
            b"event: message_stop",
        ]


async def test_a_redirect_names_another_origin() -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "openai", fault="redirect")
        assert (answer.status, answer.headers["location"], answer.body) == (307, "https://elsewhere.invalid/v1", b"")


async def test_status_200_with_html_and_with_json() -> None:
    async with Simulator() as sim:
        page = await fetch(sim, "openai", fault="html-body")
        error = await fetch(sim, "grok", fault="json-body")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert page.body.startswith(b"<!DOCTYPE html>")
        assert (error.status, error.headers["content-type"]) == (200, "application/json")
        assert error.body == (
            b'{"code":"The service is currently unavailable","error":"The model is at capacity, try again later."}'
        )


@pytest.mark.parametrize(("body", "end"), [("cut", "fin"), ("reset", "rst")])
async def test_a_refusals_body_may_break(body: str, end: str) -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "openai", fault=f"refuse; status=503; body={body}")
        assert (answer.status, answer.end) == (503, end)
        assert 0 < len(answer.body) < int(answer.headers["content-length"])


async def test_a_refusals_body_may_stall() -> None:
    async with Simulator() as sim:
        client = await connect(sim)
        async with client.socket:
            await client.ask(sim, "openai", headers={"x-headrace-fault": "refuse; status=401; body=stall"})
            head = await client.head()
            assert head.status == 401
            await client.exactly(int(head.headers["content-length"]) // 2)
            assert sim.exchanges[0].ended == "open"
        await sim.exchanges[0].wait_ended()
        assert sim.exchanges[0].ended == "client left"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no-such", "there is no fault 'no-such'; there are: cut-fin, cut-rst, "),
        ("cut-fin; after=3", "fault 'cut-fin' has no parameter 'after'; it has: after_events, after_pieces, at_byte"),
        ("cut-fin; after_events=many", "fault 'cut-fin': "),
        ("clean-end; drop=all", "fault 'clean-end': "),
        ("cut-fin, stall", "x-headrace-fault: more than one fault: an answer breaks once"),
    ],
)
async def test_a_fault_that_does_not_exist_is_a_400_that_lists_those_that_do(value: str, words: str) -> None:
    async with Simulator() as sim:
        answer = await fetch(sim, "openai", fault=value)
        assert answer.status == 400
        assert words in json.loads(answer.body)["error"]["message"]


@pytest.mark.parametrize(
    "value",
    [
        "refuse; status=204",
        "refuse; status=1000",
        "refuse; retry_after=nan",
        "redirect; status=99",
        "pings; interval=-1",
        "late-first; seconds=nan",
        "stall; after_events=-1",
        "huge-event; size=-1",
    ],
)
async def test_a_figure_that_cannot_be_played_is_a_400_and_the_server_goes_on(value: str) -> None:
    name, words = value.split("; ")[1].split("=")
    async with Simulator() as sim:
        answer = await fetch(sim, "openai", fault=value)
        assert answer.status == 400
        assert f"{name} is {words}" in json.loads(answer.body)["error"]["message"]
        assert (await fetch(sim, "openai")).status == 200


def test_every_name_of_the_table_can_be_asked_for() -> None:
    for name, cls in faults.FAULTS.items():
        assert faults.parse(name) == [cls()]
    assert faults.parse("cut-fin; after_pieces=2; at_byte=7") == [faults.CutFin(after_pieces=2, at_byte=7)]
