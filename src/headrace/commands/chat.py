"""
`headrace chat`: one question, and the answer as it comes.

The model's words go to standard output, all else to standard error; so what is piped is what the model said, and
nothing more. Knows no vendor's format.
"""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Final

import anyio
from anyio import CancelScope, create_task_group

from .._types import AIMessage, AIStreamChunk, GenerationConfig
from ..errors import CallerError, HeadraceError, QuotaExceededError, RateLimitError
from ..gateway import AIGateway
from ..streaming.stream import ChatStream
from ..telemetry import Event, add_hook
from . import _who
from ._streams import json_line

__all__ = ("EPILOG", "HELP", "arguments", "plain", "run")

HELP: Final = "Ask a model; the answer is printed as it comes."
EPILOG: Final = """\
exit codes:
  0    the answer is whole
  1    the call failed before any of the answer had come
  2    the call could not be made: an unknown provider, no key, an option that the model does not take
  3    the answer was cut; all that came was printed
  4    a rate limit or a quota; the message says when to come back, where the vendor did
  130  Ctrl-C; all that came was printed
  141  nobody reads on, as behind `| head`

examples:
  headrace chat "What is a headrace?"            the first provider whose key the environment has
  headrace chat -m anthropic/claude-haiku-5-5 < question.txt
  headrace chat -m groq/llama-4.1-8b --json "Hello" | jq -r .content
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("prompt", nargs="?", help="the question; without it, or as '-', standard input")
    parser.add_argument(
        "-m",
        "--model",
        metavar="VENDOR[/MODEL]",
        help="who is asked: its usual model, or this one (default: the first with a key)",
    )
    parser.add_argument("-s", "--system", metavar="TEXT", help="instructions that go before the question")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="the longest answer, in tokens")
    parser.add_argument("--temperature", type=float, metavar="T", help="randomness; many models take none")
    parser.add_argument("--json", action="store_true", help="a JSON object a line for each chunk, in place of its text")
    _who.arguments(parser)
    _who.backend(parser)


def run(options: argparse.Namespace) -> int:
    """Ask; the exit code is as `EPILOG` says."""
    try:
        prompt = options.prompt if options.prompt not in {None, "-"} else _standard_input()
        f"{prompt}{options.system}".encode()  # a byte that was no text became half of a surrogate pair
    except UnicodeError:
        return _fail("the question has bytes that are no text in this locale: convert it, as by iconv", 2)
    except OSError as exc:  # of `nohup`: a standard input that nobody can read
        return _fail(f"standard input: {exc.strerror or exc}", 2)
    if not prompt.strip():
        return _fail("there is no question: give it as an argument, or by standard input", 2)
    try:
        chat = Chat(_who.gateway(options, _named(options.model)), _messages(options.system, prompt), options)
        return anyio.run(chat.main, backend=options.backend)
    except (RateLimitError, QuotaExceededError) as exc:
        return _fail(_who.described(exc), 4)
    except (CallerError, ValueError) as exc:
        return _fail(_who.described(exc) if isinstance(exc, HeadraceError) else str(exc), 2)
    except HeadraceError as exc:
        return _fail(_who.described(exc), 1)


class Chat:
    """One question on its way."""

    def __init__(self, gateway: AIGateway, messages: list[AIMessage], options: argparse.Namespace) -> None:
        self._gateway, self._messages, self._json = gateway, messages, bool(options.json)
        who, _, model = str(options.model or "").partition("/")
        self._who, self._model = who or None, model or None
        self._config = GenerationConfig(max_tokens=options.max_tokens, temperature=options.temperature)
        self._stopped = False
        self._line_open = False

    async def main(self) -> int:
        """Print the answer; the exit code."""
        remove, code = add_hook(_held), 130  # unless the answer comes to an end
        try:
            async with self._gateway as gateway, create_task_group() as tasks:
                if sys.platform != "win32":
                    tasks.start_soon(self._stop_on_signal, tasks.cancel_scope)
                code = await self._answer(gateway)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            if len(group.exceptions) > 1:
                raise
            raise group.exceptions[0] from None  # noqa: ASYNC123  # its traceback is kept, the group is only ours
        finally:
            remove()
        return code

    async def _stop_on_signal(self, scope: CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            async for _ in signals:
                self._stopped = True
                scope.cancel()

    async def _answer(self, gateway: AIGateway) -> int:
        provider = gateway.get_provider(self._who).name
        stream = gateway.chat_stream(self._messages, self._config, provider=provider, model=self._model, fallback=())
        try:
            async with stream:
                async for chunk in stream:
                    self._print(chunk)
        finally:
            self._end_line()
            if self._stopped:
                _say(f"stopped after {_received(stream)}; all that came is printed")
        if stream.interruption is not None:
            return _fail(f"the answer was cut after {_received(stream)}: {stream.interruption.cause}", 3)
        return 0

    def _print(self, chunk: AIStreamChunk) -> None:
        if self._json:
            print(json_line(plain(chunk)), flush=True)
        elif not chunk.is_marker and (text := chunk.content or chunk.refusal):
            print(text, end="", flush=True)
            self._line_open = not text.endswith("\n")

    def _end_line(self) -> None:
        if self._line_open:
            self._line_open = False
            print(flush=True)


def plain(chunk: AIStreamChunk) -> dict[str, object]:
    """What a line of JSON says of a chunk: what is not empty."""
    usage = None if chunk.usage is None else {name: value for name, value in chunk.usage.items() if name != "raw"}
    said = {
        "reasoning": chunk.reasoning,
        "refusal": chunk.refusal,
        "tool_calls": chunk.tool_calls,
        "finish_reason": chunk.finish_reason,
        "usage": usage,
        "error": chunk.error,
        "is_marker": chunk.is_marker,
        "is_final": chunk.is_final,
    }
    return {"content": chunk.content} | {name: value for name, value in said.items() if value}


def _named(model: str | None) -> list[str]:
    return [] if model is None else [model.partition("/")[0]]


def _messages(system: str | None, prompt: str) -> list[AIMessage]:
    return [*([AIMessage("system", system)] if system else []), AIMessage("user", prompt)]


def _standard_input() -> str:
    if sys.stdin.isatty():
        _say("type the question, then Ctrl-D")
    return sys.stdin.read()


def _held(event: Event) -> None:
    if event.name == "request_held":
        _say(event.message)


def _received(stream: ChatStream) -> str:
    usage = stream.response.usage
    tokens = usage["completion_tokens"] if usage is not None else None
    return f"{len(stream.partial_content)} characters" + ("" if tokens is None else f", {tokens} tokens")


def _say(text: str) -> None:
    _who.say("chat", text)


def _fail(text: str, code: int) -> int:
    _say(text)
    return code
