"""What the fuzz targets share: how one is run under atheris, and what every refusal must look like."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

Check = Callable[[bytes], object]
FOLDER = "RNNCLI_FUZZ_FOLDER"


def refused_well(error: Exception, lines: int = 1) -> None:
    """Check that a refusal can be shown on a terminal as it is: no control characters, at most so many lines."""
    text = str(error)
    assert text, "an error without words"
    assert len(text) < 10_000 * lines, f"an error of {len(text)} characters"
    shown = text.split("\n")
    assert len(shown) <= lines, f"{len(shown)} lines: {text!r}"
    assert not any(ord(character) < 32 or ord(character) == 127 for line in shown for character in line), repr(text)


def main(make_check: Callable[[Path], Check], seeds: Callable[[Path], Iterable[bytes]], include: list[str]) -> None:
    """Run a target under atheris until an input raises what it must not, or for ``-runs=N`` inputs.

    Parameters
    ----------
    make_check : callable
        Takes a folder to work in; imports what it tests, and returns the function that takes one input.
    seeds : callable
        Takes a folder to work in, returns inputs to start from.
    include : list of str
        Packages whose branches guide the search.
    """
    if FOLDER not in os.environ:  # libFuzzer ends its process, so that somebody else has to clean up
        fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="rnncli-fuzz-", dir=fast) as folder:
            done = subprocess.run([sys.executable, *sys.argv], env={**os.environ, FOLDER: folder}, check=False)
            for crash in Path(folder, "found").iterdir():
                kept = Path(tempfile.gettempdir(), f"rnncli-{crash.name}")
                kept.write_bytes(crash.read_bytes())
                print(f"kept {kept}", file=sys.stderr)
        sys.exit(done.returncode)

    import atheris

    folder = Path(os.environ[FOLDER])
    for name in ("corpus", "found", "seeds", "work"):
        (folder / name).mkdir()
    with atheris.instrument_imports(include=include):
        check = make_check(folder / "work")
    for number, seed in enumerate(seeds(folder / "seeds")):
        (folder / "corpus" / f"seed{number}").write_bytes(seed)
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/found/", str(folder / "corpus")], check)
    atheris.Fuzz()
