"""Files of a message are read when its request is made, wherever in the message they stand."""

from __future__ import annotations

import pathlib

import pytest

from headrace import AIMessage, GenerationConfig, ImagePart, TextPart, ToolCall, ToolResultPart
from headrace.providers import _files, load_provider
from headrace.simulator import Simulator

PNG = b"\x89PNG"


async def test_a_file_in_a_tools_result_is_read(tmp_path: pathlib.Path, headrace_simulator: Simulator) -> None:
    (tmp_path / "map.png").write_bytes(PNG)
    result = ToolResultPart("toolu_1", [TextPart("Here"), ImagePart(tmp_path / "map.png")])
    talk = [
        AIMessage("user", "Draw"),
        AIMessage("assistant", [ToolCall("toolu_1", "draw", "{}")]),
        AIMessage("tool", [result, ToolResultPart("toolu_2", "words")]),
    ]
    *_, read = await _files.loaded(talk)
    assert read.parts[0].content == [TextPart("Here"), ImagePart(PNG, "image/png")]
    assert read.parts[1] == ToolResultPart("toolu_2", "words")
    async with load_provider("anthropic")("k", base_url=headrace_simulator.base_url("anthropic")) as provider:
        assert (await provider.chat([*talk[:2], AIMessage("tool", [result])], GenerationConfig())).content


async def test_a_missing_file_in_a_tools_result_is_told(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        await _files.loaded([AIMessage("tool", [ToolResultPart("1", [ImagePart(tmp_path / "gone.png")])])])


async def test_messages_without_files_stay_as_they_are() -> None:
    messages = [AIMessage("user", "Hi"), AIMessage("tool", [ToolResultPart("1", [TextPart("a")])])]
    assert await _files.loaded(messages) is messages
