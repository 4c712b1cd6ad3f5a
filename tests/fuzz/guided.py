"""
One target under atheris: `python -m tests.fuzz.guided TARGET SECONDS FOLDER`. Crashing inputs are kept in the folder.

A process of its own, since libFuzzer never returns.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["headrace"]):
    from .targets import CORPUS, TARGETS


def main(name: str, seconds: str, folder: str) -> None:
    """Fuzz until the time is over or an input breaks the target."""
    target = TARGETS[name]
    options = [
        f"-max_total_time={seconds}",
        f"-artifact_prefix={folder}/{name}-",
        "-max_len=4096",
        "-print_final_stats=1",
    ]
    # New inputs are written to the first folder: none is named, so that the corpus stays as it is.
    seeds = ",".join(str(path) for path in sorted((CORPUS / target.folder).iterdir()))
    atheris.Setup([sys.argv[0], *options, f"-seed_inputs={seeds}"], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
