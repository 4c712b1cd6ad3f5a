"""The page of examples/web.py in a real browser."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from headrace.simulator import Script, Simulator, faults

from ..pages import blocks
from .browser import page

pytestmark = pytest.mark.slow
GUIDE = Path(__file__).parents[2] / "docs" / "web.md"
ASK = "document.querySelector('form').requestSubmit()"
DONE = "document.getElementById('stop').disabled"
ANSWER = "document.getElementById('answer').textContent"
NOTE = "document.getElementById('note').textContent"


async def test_what_the_reader_sees(url: str, sim: Simulator, tmp_path: Path) -> None:
    sim.play("ollama", Script(text="one <b>two</b>\nthree"))
    sim.play("ollama", Script(text="one two three four five", fault=faults.CutFin(after_events=3)))
    sim.play("ollama", Script(fault=faults.Refuse(status=429)))
    async with page(url, tmp_path) as tab:
        await tab.run(ASK)
        await tab.until(DONE)
        assert (await tab.run(ANSWER), await tab.run(NOTE)) == ("one <b>two</b>\nthree", "")
        await tab.run(ASK)
        await tab.until(DONE)
        cut = str(await tab.run(ANSWER))
        assert cut.startswith("one") and cut.endswith("\n\n[Response interrupted]")
        assert await tab.run(NOTE) == "The connection to the model was lost."
        await tab.run(ASK)
        await tab.until(DONE)
        assert await tab.run(ANSWER) == ""
        assert str(await tab.run(NOTE)).startswith("Too many requests for now.")
        calls = [exchange for exchange in sim.exchanges if exchange.path.endswith("/chat")]
        await anyio.sleep(4)  # a browser asks again after three seconds, if it does
        assert len([exchange for exchange in sim.exchanges if exchange.path.endswith("/chat")]) == len(calls) == 3


async def test_the_guides_script_shows_the_same(url: str, sim: Simulator, tmp_path: Path) -> None:
    """The JavaScript of docs/web.md, as it stands there."""
    (script,) = [block.code for block in blocks(GUIDE.read_text()) if block.language == "js"]
    wrapped = f"""(() => {{
      window.ended = false
      const [question, answer, note] = ["Hello", ...["answer", "note"].map((id) => document.getElementById(id))]
      answer.textContent = note.textContent = ""
      {script}
      source.addEventListener("end", () => {{ window.ended = source.readyState == EventSource.CLOSED }})
    }})()"""
    sim.play("ollama", Script(text="one <b>two</b>"))
    sim.play("ollama", Script(text="one two three four five", fault=faults.CutFin(after_events=3)))
    sim.play("ollama", Script(fault=faults.Refuse(status=429)))
    shown = []
    async with page(url, tmp_path) as tab:
        for _ in range(3):
            await tab.run(wrapped)
            await tab.until("window.ended")
            shown.append((str(await tab.run(ANSWER)), str(await tab.run(NOTE))))
    (whole, cut, refused) = shown
    assert whole == ("one <b>two</b>", "")
    assert cut[0].startswith("one") and cut[0].endswith("\n\n[Response interrupted]")
    assert refused[0] == "" and refused[1].startswith("Too many requests for now.")


async def test_a_refusal_in_the_models_words_is_shown(url: str, tmp_path: Path) -> None:
    (guide,) = [block.code for block in blocks(GUIDE.read_text()) if block.language == "js"]
    said = """source.onmessage({data: '{"content":"","refusal":"I cannot "}'})
      source.onmessage({data: '{"content":"","refusal":"say."}'})"""
    async with page(url, tmp_path) as tab:
        await tab.run("window.EventSource = class { addEventListener() {} close() {} }")
        await tab.run(f"{ASK}; {said}")
        assert await tab.run(ANSWER) == "I cannot say."
        await tab.run("answer.textContent = ''")
        await tab.run(f"(() => {{ const question = 'Hello'; {guide}\n{said} }})()")
        assert await tab.run(ANSWER) == "I cannot say."


@pytest.mark.parametrize("how", ["the stop button", "another page", "closed tab"])
async def test_leaving_ends_the_vendors_stream(how: str, url: str, sim: Simulator, tmp_path: Path) -> None:
    sim.play("ollama", Script(text="word " * 5000, first_delay=0.0, delay=0.01))
    async with page(url, tmp_path) as tab:
        await tab.run(ASK)
        await tab.until(f"{ANSWER}.length > 20")
        assert sim.open_connections > 0
        if how == "another page":
            await tab.send("Page.navigate", url="about:blank")
        elif how == "closed tab":
            await tab.send("Page.close")
        else:
            await tab.run("document.getElementById('stop').click()")
        with anyio.fail_after(5):
            await sim.wait_all_closed()
    assert len(sim.exchanges[-1].text_sent) < 20_000
