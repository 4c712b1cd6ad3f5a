"""# noqa: INP001  # a hook of mkdocs, no package
Pages of the site that are made of files outside docs/: the changelog, the examples, whatever a page links to.

A link such as `../examples/web.py` works in the repository as it stands. In the site it leads to a page that shows the
file; one that leads to no file stays as it is, and `mkdocs build --strict` tells of it.
"""  # noqa: INP001  # a hook of mkdocs, no package

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
OWN_NAMES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "reporting.md"}
LINK = re.compile(r"(?<=\]\()((?:\.\./)+[^)#:]+)")
LANGUAGES = {".py": "python", ".toml": "toml"}
SHOWN = "# {name}\n\n```{language}\n{text}```\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file that is linked to, and for those with a name of their own."""
    linked = {ROOT / name for name in OWN_NAMES}
    for page in list(files.documentation_pages()):
        for target in LINK.findall(page.content_string):
            linked.add(outside(target, page.src_uri))
    for path in linked:
        if path.is_file() and not path.is_relative_to(ROOT / "docs"):
            uri = page_of(path)
            files.append(File.generated(config, uri, content=content(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001  # mkdocs's
    """Let the links lead to those pages."""
    uri = page.file.src_uri

    def there(link: re.Match[str]) -> str:
        path = outside(link[1], uri)
        if not path.is_file() or path.is_relative_to(ROOT / "docs"):
            return link[1]
        return os.path.relpath(page_of(path), Path(uri).parent)

    return LINK.sub(there, markdown)


def outside(target: str, uri: str) -> Path:
    """The file that a link of the page `uri` means."""
    return (ROOT / "docs" / uri).parent.joinpath(target).resolve()


def page_of(path: Path) -> str:
    """The page that shows it."""
    name = str(path.relative_to(ROOT))
    return OWN_NAMES.get(name, f"files/{name}.md")


def content(path: Path) -> str:
    """Its text, as a page. Links of a file of the root into docs/ are links between pages."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return re.sub(r"(?<=\]\()docs/", "", text)
    return SHOWN.format(name=path.relative_to(ROOT), language=LANGUAGES.get(path.suffix, ""), text=text)
