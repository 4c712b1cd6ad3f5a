"""
Is in the wheel and the sdist what should be there, and nothing else? Exits with 1 and says what is wrong.

usage: python -m release.contents dist
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
NEEDED: Final = ("headrace/py.typed", "headrace/models.toml", "_headrace_pytest.py")
IN_SDIST: Final = ("pyproject.toml", "README.md", "LICENSE", "tests/conftest.py", "docs/index.md", "examples/web.py")


def wrong(folder: Path) -> list[str]:
    """A sentence for each fault of the two files in `folder`."""
    found: list[str] = []
    wheels, sdists = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        return [f"there should be one wheel and one sdist in {folder}, not {len(wheels)} and {len(sdists)}"]
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = set(wheel.namelist())
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        told = Parser().parsestr(wheel.read(metadata).decode())
    sources = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*.py")}
    found += [f"the wheel lacks {name}" for name in sorted({*NEEDED, *sources} - names)]
    inside = {name for name in names if ".dist-info/" not in name}
    found += [f"the wheel has {name}" for name in sorted(inside - sources - set(NEEDED))]
    if not any(name.endswith("licenses/LICENSE") for name in names):
        found.append("the wheel lacks its licence")
    if told["Requires-Python"] != ">=3.11" or not told.get_payload():
        found.append("the metadata lack the Python or the description")
    with tarfile.open(sdists[0]) as sdist:
        packed = {name.partition("/")[2] for name in sdist.getnames()}
    found += [
        f"the sdist lacks {name}" for name in (*IN_SDIST, *(f"src/{name}" for name in NEEDED)) if name not in packed
    ]
    return found


if __name__ == "__main__":
    faults = wrong(Path(sys.argv[1]))
    print("\n".join(faults) or "wheel and sdist have what they should")
    sys.exit(bool(faults))
