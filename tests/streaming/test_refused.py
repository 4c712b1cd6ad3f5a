"""What a refusal tells of an exchange stands on the response too, and what is known of the exchange on its error."""

from __future__ import annotations

from headrace import AIStreamChunk, RateLimitInfo
from headrace._types import ChunkMeta
from headrace.errors import RateLimitError, TruncatedStreamError
from headrace.streaming.machine import StreamMachine


def test_a_refused_stream_knows_its_request_and_its_limits() -> None:
    machine, limits = StreamMachine(provider="openai"), RateLimitInfo(limit_requests=5)
    machine.sent()
    machine.fail(RateLimitError("no", request_id="req_1", rate_limit=limits))
    assert (machine.response.request_id, machine.rate_limit, machine.response.rate_limit) == ("req_1", limits, limits)


def test_a_cut_stream_tells_the_request_that_was_cut() -> None:
    machine, error = StreamMachine(provider="openai"), TruncatedStreamError("cut")
    machine.sent()
    machine.feed(AIStreamChunk("a", meta=ChunkMeta(request_id="req_2")))
    machine.fail(error)
    assert (error.request_id, machine.response.request_id) == ("req_2", "req_2")


def test_what_the_answer_itself_told_is_not_replaced() -> None:
    machine, limits = StreamMachine(provider="openai"), RateLimitInfo(limit_requests=5)
    machine.sent()
    machine.feed(AIStreamChunk("a", rate_limit=limits, meta=ChunkMeta(request_id="req_2")))
    machine.fail(RateLimitError("no", request_id="req_3", rate_limit=RateLimitInfo(limit_requests=9)))
    assert (machine.response.request_id, machine.rate_limit) == ("req_2", limits)
