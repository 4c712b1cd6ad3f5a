"""
Runs what a page of the documentation shows: `python -m tests.pages docs/streaming.md`, in a process of its own.

    ```python    is executed, in the order of the page, in one namespace. `await` may stand at the top level.
    ```text      behind it, if that is next, is what it prints; "..." stands for whatever is there.
    ```toml      is written to gateway.toml and read: as a gateway's file, or as rules of models.

All of it talks to a simulator on real loopback HTTP: the providers, and the vendors' own SDKs, find it by the usual
environment variables. What a fragment may use without having made it is `PREAMBLE`, and nothing else.

A block whose last line is a comment such as `# RateLimitError: openai: ...` must raise exactly that. A block of Python
behind `<!-- not run: reason -->` is left out.
"""

from __future__ import annotations

import ast
import inspect
import io
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from headrace import AIGateway, models
from headrace.providers import PROVIDERS, load_provider
from headrace.providers._environment import variables_by_provider
from headrace.providers._vendor import VendorProvider
from headrace.testing import simulator_in_background

PREAMBLE = """
import anyio
from headrace import *
from headrace.gateway import AIGateway
from headrace.providers.anthropic import AnthropicProvider
from headrace.providers.gemini import GeminiProvider
from headrace.providers.grok import GrokProvider
from headrace.providers.openai import OpenAIProvider
claude, openai, gemini, grok = AnthropicProvider(), OpenAIProvider(), GeminiProvider(), GrokProvider()
messages = [AIMessage("user", "What is a headrace?")]
config = GenerationConfig()
"""
ADDRESSES = {  # the variable by which provider and SDK alike find their vendor
    "anthropic": "ANTHROPIC_BASE_URL",
    "openai": "OPENAI_BASE_URL",
    "gemini": "GOOGLE_GEMINI_BASE_URL",
    "grok": "XAI_BASE_URL",
    "ollama": "OLLAMA_HOST",
}
NO_REDIS = {"localhost:6379": "127.0.0.1:9"}  # nobody's own Redis is written to: the programs go on without one
FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>.*?) -->\s*)?^(?P<indent> *)```(?P<language>\S*)[^\n]*\n(?P<code>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
RAISES = re.compile(r"# ((?:\w+\.)*\w+Error: .+)\Z")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, the line that it begins in, and why it is not run, if it is not."""

    language: str
    code: str
    line: int
    reason: str | None


def blocks(page: str) -> Iterator[Block]:
    """Those of a page, in its order."""
    for found in FENCE.finditer(page):
        indent, line = len(found["indent"]), page.count("\n", 0, found.start("code")) + 1
        code = "".join(text[indent:] for text in found["code"].splitlines(keepends=True))
        yield Block(found["language"], code, line, found["reason"])


def run(path: Path) -> int:
    """The page as it stands; how many blocks were executed. What fails raises, with the page's own line."""
    found = list(blocks(path.read_text(encoding="utf-8")))
    for block in found:
        if block.language == "toml":
            load(block)
    names: dict[str, object] = {"__name__": "__main__"}
    exec(PREAMBLE, names)
    programs = [block for block in found if block.language == "python" and block.reason is None]
    for block in programs:
        printed = io.StringIO()
        with redirect_stdout(printed):
            execute(block, path, names)
        print(printed.getvalue())
        for following in found:
            if following.language == "text" and following.line == block.line + block.code.count("\n") + 3:
                compare(printed.getvalue(), following, path)
    return len(programs)


def compare(printed: str, block: Block, path: Path) -> None:
    """What a program has printed with what the page says; spaces at the end of a line do not count."""
    said, seen = ([line.rstrip() for line in text.strip().splitlines()] for text in (block.code, printed))
    wanted = ".*".join(re.escape(part) for part in "\n".join(said).split("..."))
    if re.fullmatch(wanted, "\n".join(seen)) is None:
        raise AssertionError(f"{path}:{block.line}: it printed {printed!r}")


def execute(block: Block, path: Path, names: dict[str, object]) -> None:
    """Run one; the error that its last line tells is caught and compared."""
    text = block.code
    for usual, here in NO_REDIS.items():
        text = text.replace(usual, here)
    code = compile(
        "\n" * (block.line - 1) + text, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )
    expected = RAISES.search(text.rstrip())
    try:
        result = eval(code, names)
        if inspect.iscoroutine(result):
            anyio.run(awaited, result)
    except Exception as error:
        told = traceback.format_exception_only(error)[-1].strip().removeprefix(f"{type(error).__module__}.")
        if expected is None or told != expected[1]:
            raise
    else:
        if expected is not None:
            raise AssertionError(f"{path}:{block.line}: it raised no {expected[1]!r}")


async def awaited(coroutine: object) -> None:
    """What `anyio.run` takes."""
    await coroutine  # type: ignore[misc]  # of eval


def load(block: Block) -> None:
    """A file of ours: read as what it is."""
    file = Path("gateway.toml" if "[providers" in block.code else "models.toml")
    file.write_text(block.code, encoding="utf-8")
    if file.name == "gateway.toml":
        for variables in variables_by_provider().values():
            os.environ.setdefault(variables[0], "any-key")
        AIGateway.from_config(file)
    else:
        models.add_rules(file)


def point_at(urls: Mapping[str, str]) -> None:
    """Send the providers, and the SDKs, to the simulator; a header has the key: the environment's stays at home."""
    for name in PROVIDERS:
        kind = load_provider(name)
        if name in urls and issubclass(kind, VendorProvider):
            os.environ[ADDRESSES[name]] = urls[name]
            vendor = kind.vendor
            for variable in vendor.key_env[:1]:
                os.environ[variable] = "any-key"
            key = {vendor.key_header: f"{vendor.key_prefix}any-key"}
            kind.vendor = replace(vendor, needs_key=False, headers={**vendor.headers, **key})


def main() -> None:
    """Run the page that is named, in the current folder."""
    with simulator_in_background() as sim:
        point_at({name: sim.base_url(name) for name in ADDRESSES})
        print(f"\n{run(Path(sys.argv[1]))} blocks")


if __name__ == "__main__":
    main()
