"""
What was answered goes back unchanged, or is refused in the vendor's words.

Each test plays an answer, sends it back in the next request, whole or spoiled in one place, and reads the status.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from headrace.simulator import Script, Simulator
from headrace.simulator.seal import Seal

from .raw import Answer, post

THINKING = Script(reasoning="How heavy?", tool_calls=(("weigh", '{"sacks": 3}'),))
QUESTION = {"role": "user", "content": "Weigh them."}


def words(answer: Answer) -> str:
    """What the vendor says of an error."""
    error = json.loads(answer.body)["error"]
    return error if isinstance(error, str) else error["message"]


# ---------------------------------------------------------------- Anthropic


async def claude(sim: Simulator, *turns: object, **fields: object) -> Answer:
    return await post(sim, "anthropic", "/v1/messages", model="m", max_tokens=9, messages=[QUESTION, *turns], **fields)


def result(content: list[dict]) -> dict:
    (call,) = (block for block in content if block["type"] == "tool_use")
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "3 kg"}]}


CUT = {"type": "text", "text": "Three."}
SPOILED: dict[str, tuple[Callable[[list[dict]], list[dict]], str]] = {
    "signature": (
        lambda content: [{**content[0], "signature": "bm90IG91cnM="}, *content[1:]],
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "no signature": (
        lambda content: [{"type": "thinking", "thinking": "How heavy?"}, *content[1:]],
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "text": (
        lambda content: [{**content[0], "thinking": "How light?"}, *content[1:]],
        "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be "
        "modified. These blocks must remain as they were in the original response.",
    ),
    "left out": (
        lambda content: content[1:],
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` "
        "is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of "
        "`tool_use` and `tool_result` blocks).",
    ),
}


@pytest.mark.parametrize("thinking", ["adaptive", "enabled"])
@pytest.mark.parametrize(("spoil", "told"), SPOILED.values(), ids=SPOILED)
async def test_anthropic_wants_its_thinking_back_as_it_was(
    spoil: Callable[[list[dict]], list[dict]], told: str, thinking: str
) -> None:
    async with Simulator() as sim:
        sim.play("anthropic", THINKING)
        content = json.loads((await claude(sim)).body)["content"]
        asked = {"thinking": {"type": thinking, "budget_tokens": 1024}}
        good = await claude(sim, {"role": "assistant", "content": content}, result(content), **asked)
        bad = await claude(sim, {"role": "assistant", "content": spoil(content)}, result(content), **asked)
    assert (good.status, bad.status) == (200, 400)
    assert words(bad) == told


async def test_anthropic_lets_thinking_be_left_out_where_it_is_off_or_never_was() -> None:
    async with Simulator() as sim:
        sim.play("anthropic", THINKING)
        thought = json.loads((await claude(sim)).body)["content"]
        sim.play("anthropic", Script(tool_calls=(("weigh", "{}"),)))
        unthought = json.loads((await claude(sim)).body)["content"]
        off = await claude(sim, {"role": "assistant", "content": thought[1:]}, result(thought))
        adaptive = {"thinking": {"type": "adaptive"}}
        never = await claude(sim, {"role": "assistant", "content": unthought}, result(unthought), **adaptive)
        enabled = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
        must = await claude(sim, {"role": "assistant", "content": unthought}, result(unthought), **enabled)
    assert (off.status, never.status, must.status) == (200, 200, 400)


async def test_anthropic_redacts_and_knows_it_again() -> None:
    async with Simulator() as sim:
        sim.play("anthropic", Script(text="Three.", reasoning="How heavy?", redacted=True))
        answer = await claude(sim)
        content = json.loads(answer.body)["content"]
        assert sim.exchanges[0].reasoning_sent == ""
        good = await claude(sim, {"role": "assistant", "content": content}, QUESTION)
        forged = [{"type": "redacted_thinking", "data": "bm90IG91cnM="}]
        bad = await claude(sim, {"role": "assistant", "content": forged}, QUESTION)
    assert [block["type"] for block in content] == ["redacted_thinking", "text"]
    assert b"How heavy?" not in answer.body
    assert (good.status, bad.status) == (200, 400)
    assert words(bad) == "messages.1.content.0: Invalid `data` in `redacted_thinking` block"


async def test_anthropic_shows_the_signature_alone_where_thoughts_are_omitted() -> None:
    asked = {"thinking": {"type": "adaptive", "display": "omitted"}}
    async with Simulator() as sim:
        sim.play("anthropic", THINKING, THINKING)
        content = json.loads((await claude(sim, **asked)).body)["content"]
        stream = await claude(sim, stream=True, **asked)
        assert sim.exchanges[1].reasoning_sent == ""
        good = await claude(sim, {"role": "assistant", "content": content}, result(content), **asked)
    assert content[0]["thinking"] == ""
    assert content[0]["signature"]
    assert b'"type":"signature_delta"' in stream.body
    assert b"thinking_delta" not in stream.body
    assert good.status == 200


async def test_anthropic_pairs_calls_and_results() -> None:
    async with Simulator() as sim:
        sim.play("anthropic", THINKING)
        content = json.loads((await claude(sim)).body)["content"]
        alone = await claude(sim, result(content))
        open_call = await claude(sim, {"role": "assistant", "content": content}, QUESTION)
        ident = content[1]["id"]
    assert words(alone) == (
        f"messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {ident}. "
        "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
    )
    assert words(open_call) == (
        f"messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: {ident}. "
        "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )


async def test_anthropic_takes_the_results_of_two_calls_in_neighbouring_messages() -> None:
    calls = [{"type": "tool_use", "id": name, "name": "f", "input": {}} for name in ("a", "b")]
    results = [
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": name, "content": "1"}]}
        for name in ("a", "b")
    ]
    async with Simulator() as sim:
        answer = await claude(sim, {"role": "assistant", "content": calls}, *results)
    assert answer.status == 200


# ---------------------------------------------------------------- Gemini


async def gemini(sim: Simulator, *turns: object, model: str = "gemini-3.8-flash") -> Answer:
    question = {"role": "user", "parts": [{"text": "Weigh them."}]}
    return await post(sim, "gemini", f"/v1beta/models/{model}:generateContent", contents=[question, *turns])


RESPONSE = {"role": "user", "parts": [{"functionResponse": {"name": "weigh", "response": {"kg": 3}}}]}
MISSING = (
    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, "
    "and missing thought_signature may lead to degraded model performance. Additional data, function call "
    "`default_api:weigh` , position 2."
)


async def test_gemini_wants_the_signature_back_with_its_call() -> None:
    async with Simulator() as sim:
        sim.play("gemini", THINKING)
        content = json.loads((await gemini(sim)).body)["candidates"][0]["content"]
        thought, call = content["parts"]
        bare = {"functionCall": call["functionCall"]}
        other = {**call, "functionCall": {**call["functionCall"], "args": {"sacks": 4}}}
        good = await gemini(sim, content, RESPONSE)
        quiet = await gemini(sim, {"role": "model", "parts": [call]}, RESPONSE)
        missing = await gemini(sim, {"role": "model", "parts": [thought, bare]}, RESPONSE)
        later = {"role": "model", "parts": [{"text": "Again."}, call]}
        step = await gemini(sim, {"role": "model", "parts": [bare]}, RESPONSE, later, RESPONSE)
        changed = await gemini(sim, {"role": "model", "parts": [other]}, RESPONSE)
        old = await gemini(sim, {"role": "model", "parts": [bare]}, RESPONSE, model="gemini-2.5-pro")
        past = await gemini(
            sim, {"role": "model", "parts": [bare]}, RESPONSE, {"role": "user", "parts": [{"text": "Go on."}]}
        )
        skipped = {**bare, "thoughtSignature": "skip_thought_signature_validator"}
        foreign = await gemini(sim, {"role": "model", "parts": [skipped]}, RESPONSE)
        url_safe = {**call, "thoughtSignature": call["thoughtSignature"].replace("+", "-").replace("/", "_")}
        other_alphabet = await gemini(sim, {"role": "model", "parts": [url_safe]}, RESPONSE)
    assert call["functionCall"]["id"]
    assert url_safe != call
    assert other_alphabet.status == 200
    assert (good.status, quiet.status, old.status, past.status, foreign.status) == (200, 200, 200, 200, 200)
    assert (missing.status, words(missing)) == (step.status, words(step)) == (400, MISSING)
    assert (changed.status, words(changed)) == (400, "Corrupted thought signature.")


async def test_gemini_signs_the_last_words_of_a_thought() -> None:
    async with Simulator() as sim:
        sim.play("gemini", Script(text="Three.", reasoning="How heavy?"))
        content = json.loads((await gemini(sim)).body)["candidates"][0]["content"]
        again = {"role": "user", "parts": [{"text": "Sure?"}]}
        good = await gemini(sim, content, again)
        spoiled = {"role": "model", "parts": [{**content["parts"][1], "thoughtSignature": "bm90IG91cnM="}]}
        bad = await gemini(sim, spoiled, again)
    assert content["parts"][0] == {"text": "How heavy?", "thought": True}
    assert content["parts"][1]["text"] == "Three."
    assert (good.status, bad.status, words(bad)) == (200, 400, "Corrupted thought signature.")


async def test_gemini_pairs_calls_and_responses() -> None:
    call = {"role": "model", "parts": [{"functionCall": {"name": "weigh"}}]}
    two = {"role": "user", "parts": RESPONSE["parts"] * 2}
    async with Simulator() as sim:
        alone = await gemini(sim, RESPONSE, model="m")
        many = await gemini(sim, call, two, model="m")
    assert words(alone).startswith("Please ensure that function response turn comes immediately after a function call")
    assert words(many).startswith("Please ensure that the number of function response parts is equal to the number of")


# ---------------------------------------------------------------- chat


@pytest.mark.parametrize("vendor", ["openai", "grok"])
async def test_chat_pairs_calls_and_results(vendor: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked = {"role": "assistant", "content": None, "tool_calls": [call, {**call, "id": "c2"}]}
    first, second = ({"role": "tool", "tool_call_id": name, "content": "3"} for name in ("c1", "c2"))

    async def said(*turns: object) -> tuple[int, str]:
        answer = await post(sim, vendor, "/chat/completions", model="m", messages=[QUESTION, *turns])
        return answer.status, "" if answer.status == 200 else words(answer)

    async with Simulator() as sim:
        assert await said(asked, second, first) == (200, "")
        assert await said(asked, first) == (
            400,
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: c2",
        )
        assert await said(first) == (
            400,
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
            "'tool_calls'.",
        )


# ---------------------------------------------------------------- the signing hand


@pytest.mark.parametrize(
    ("seal", "kind", "text", "verdict"),
    [
        (Seal(1), "thinking", "Hm.", "good"),
        (Seal(1), "thinking", "Hm", "changed"),
        (Seal(1), "call", "Hm.", "foreign"),
        (Seal(2), "thinking", "Hm.", "foreign"),
    ],
    ids=["as it was", "other text", "other kind", "other seed"],
)
def test_a_signature_is_of_one_text_one_kind_and_one_seed(seal: Seal, kind: str, text: str, verdict: str) -> None:
    assert seal.check(kind, text, Seal(1).sign("thinking", "Hm.", 7)) == verdict


@pytest.mark.parametrize("signature", [None, "", "Zm9v", "no base64!", 3])
def test_what_is_no_signature_is_foreign(signature: object) -> None:
    assert Seal().check("thinking", "Hm.", signature) == "foreign"


def test_a_mark_is_known_again() -> None:
    ident = "toolu_01abc" + Seal(3).mark("toolu_01abc")
    assert Seal(3).marked(ident)
    assert not Seal(4).marked(ident)
    assert not Seal(3).marked("x" + ident)
