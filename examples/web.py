"""
A page that shows a model's answer as it comes: Starlette, on asyncio under uvicorn or on trio under Hypercorn.

    python examples/web.py                 # uvicorn, asyncio
    python examples/web.py --trio          # Hypercorn, trio
    OPENAI_API_KEY=... python examples/web.py

It asks the first provider whose key the environment has, and without any the embedded simulator.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import hypercorn.config
import hypercorn.trio
import trio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from headrace import AIGateway, AIMessage, sse
from headrace.errors import MissingKeyError
from headrace.providers.openai import OpenAIProvider
from headrace.simulator import Simulator

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>headrace</title>
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
  body { margin: 2rem auto; padding: 0 1rem; max-width: 42rem }
  form { display: flex; gap: .5rem }
  input { flex: 1; min-width: 0 }
  input, button { font: inherit; padding: .4rem .6rem }
  #answer { white-space: pre-wrap; overflow-wrap: anywhere }
  #note { opacity: .7 }
</style>
<h1>Ask</h1>
<form><input name="q" aria-label="Question" required value="What is a headrace?"><button>Ask</button>
<button type="button" id="stop" disabled>Stop</button></form>
<p id="answer" aria-live="polite"></p>
<p id="note" role="status"></p>
<script>
  const form = document.querySelector("form"), stop = document.getElementById("stop")
  const answer = document.getElementById("answer"), note = document.getElementById("note")
  let source = null
  function end(text) {
    if (source) source.close()
    source = null
    stop.disabled = true
    if (text) note.textContent = text
  }
  function wrong(event) {
    const told = JSON.parse(event.data)
    if (told.marker) answer.textContent += told.marker
    note.textContent = told.message + (told.retry_after ? ` Wait ${Math.ceil(told.retry_after)} s.` : "")
  }
  stop.onclick = () => end("Stopped.")
  addEventListener("pagehide", () => end("Left."))  // the browser may keep the page, and its source with it
  form.onsubmit = (event) => {
    event.preventDefault()
    end()
    answer.textContent = note.textContent = ""
    source = new EventSource("/chat?q=" + encodeURIComponent(form.q.value))
    stop.disabled = false
    source.onmessage = (event) => {
      const told = JSON.parse(event.data)
      answer.textContent += told.content + (told.refusal ?? "")
    }
    source.addEventListener("interrupted", wrong)
    source.addEventListener("failed", wrong)
    source.addEventListener("end", () => end())
    source.onerror = () => end("The connection was lost.")
  }
</script>
</html>
"""


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """One gateway for the life of the application."""
    async with AsyncExitStack() as stack:
        try:
            gateway = AIGateway.from_env()
        except MissingKeyError:
            sim = await stack.enter_async_context(Simulator())
            gateway = AIGateway(OpenAIProvider("any-key", base_url=sim.base_url("openai")))
        app.state.gateway = await stack.enter_async_context(gateway)
        yield


async def page(_: Request) -> Response:  # noqa: ASYNC124  # Starlette runs a plain function in a thread
    return HTMLResponse(PAGE)


async def chat(request: Request) -> Response:  # noqa: ASYNC124  # as above
    # A browser that lost its connection must not ask, and pay, again; nor does HEAD, which nobody reads.
    if request.method == "HEAD" or "last-event-id" in request.headers:
        return Response(status_code=204)
    question = request.query_params.get("q", "").strip()
    if not question:
        return Response("give a question as ?q=\n", status_code=400, media_type="text/plain")
    stream = request.app.state.gateway.chat_stream([AIMessage("user", question)])
    return StreamingResponse(sse.encode(stream), headers=sse.HEADERS)  # a browser that leaves cancels it


app = Starlette(routes=[Route("/", page), Route("/chat", chat)], lifespan=lifespan)


def main() -> None:
    parser = argparse.ArgumentParser(description="A page that shows a model's answer as it comes.")
    parser.add_argument("--trio", action="store_true", help="Hypercorn on trio in place of uvicorn on asyncio")
    parser.add_argument("--port", type=int, default=8000, help="port on 127.0.0.1 (default: %(default)s)")
    options = parser.parse_args()
    if options.trio:
        config = hypercorn.config.Config()
        config.bind = [f"127.0.0.1:{options.port}"]
        trio.run(partial(hypercorn.trio.serve, app, config))  # type: ignore[arg-type]  # Starlette is an ASGI app
    else:
        uvicorn.run(app, port=options.port)


if __name__ == "__main__":
    main()
