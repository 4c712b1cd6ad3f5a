"""The documentation as a site: it builds without a warning, fetches nothing from elsewhere, and fits a phone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .browser import page

ROOT = Path(__file__).parent.parent.parent
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
FETCHED = re.compile(
    r"<(?:link|script|img|iframe)\b[^>]*?\b(?:href|src)=[\"']?((?:https?:)?//[^\"'> ]+)|url\([\"']?(https?://[^)\"']+)"
)
INSIDE = "table, pre, code, nav, .md-typeset__scrollwrap"  # these scroll by themselves
WIDE = f"""[...document.querySelectorAll("main *")].filter((one) =>
  one.getBoundingClientRect().right > innerWidth + 1 && !one.closest("{INSIDE}")
).map((one) => one.tagName + " " + one.textContent.slice(0, 40)).slice(0, 3).join("; ")"""

pytestmark = pytest.mark.slow


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the group `docs` is not installed: `make docs` does that")
    pytest.importorskip("mkdocstrings", reason="the group `docs` is not installed: `make docs` does that")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_it_builds_and_has_every_page(site: Path) -> None:
    pages = [file.relative_to(ROOT / "docs").with_suffix("") for file in (ROOT / "docs").rglob("*.md")]
    for name in pages:
        folder = name.parent if name.name == "index" else name
        assert (site / folder / "index.html").exists()
    assert (site / "changelog" / "index.html").exists()
    assert not [file for file in site.rglob("*.py") if file.is_file()]


def test_a_page_fetches_nothing_from_another_host(site: Path) -> None:
    found = {
        (file.name, address)
        for kind in ("*.html", "*.css")
        for file in site.rglob(kind)
        for link in FETCHED.findall(file.read_text(encoding="utf-8"))
        for address in link
        if address
    }
    assert found == set()


@pytest.fixture(scope="module")
def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("index.html"))


async def test_no_page_is_wider_than_a_phone(site: Path, pages: list[Path], tmp_path: Path) -> None:
    assert len(pages) > 30
    wide = {}
    async with page(pages[0].as_uri(), tmp_path) as tab:
        await tab.send("Emulation.setDeviceMetricsOverride", **PHONE)
        for file in pages:
            await tab.send("Page.navigate", url=file.as_uri())
            await tab.until(f"location.href == {file.as_uri()!r} && document.readyState == 'complete'")
            width = await tab.run("document.documentElement.scrollWidth")
            if width > PHONE["width"]:
                wide[str(file.relative_to(site))] = (width, await tab.run(WIDE))
    assert wide == {}
