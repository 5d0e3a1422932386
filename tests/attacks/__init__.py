"""Attacks as data: what a stranger may put into a file, and what must come of it.

A module here holds a list `ATTACKS` of `Attack` rows, and is named in `MODULES`. `tests/test_attacks.py` runs each row in a process of its
own, forked from a server that has imported everything once (`server.py`), with limits of time and memory, in a folder with a canary around it.

    Attack('manifest_hash_climbs', make=manifest_row(hash='../../avatar'), run=read_manifest, says='line 1')

- `name` is unique and says what is wrong with the bytes.
- `make(folder)` writes the stranger's files into the folder `folder` (its working directory too). Make bytes; keep none in git.
- `run(folder)` calls what a user would call. It imports inside, and what comes back is given to `check`.
- `says` is a part of the message of the `FastclassError` that must come out; `says=None`: no error may come out.
- `check(result, folder)` asserts more about what came out (with `says=None`) or about what lies in the folder (after an error, with None).
- `prints=True`: the output on stdout and stderr is kept, and must hold no character that a terminal obeys.
- `long=True`: only with `pytest --all`.

Every row also fails where something that is none of our errors comes out (a traceback of a person's), where it takes over `seconds`, where the
memory grows by more than 2 GB, where a file outside of `folder` was changed, made or removed, or where the process dies.
"""
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MODULES = ['results', 'manifests', 'pictures', 'folders', 'bundles', 'caches'] # in this folder


@dataclass(frozen=True)
class Attack:
    "One row of the table"
    name: str                       # Unique
    make: Callable[[Path], object]  # Writes the stranger's files
    run: Callable[[Path], object]   # What the user calls
    says: str | None = ''           # A part of the message of our error; None: it must go well
    check: Callable | None = None   # `check(result, folder)`: more that must hold
    prints: bool = False            # Look at what was printed, too
    seconds: float = 10.            # At most
    long: bool = False              # Only with --all


def attacks() -> dict: # Every row by its name
    "All rows of all modules that are there"
    from importlib import import_module
    rows = {}
    for name in MODULES:
        if not (Path(__file__).parent/f'{name}.py').exists(): continue
        for row in import_module(f'attacks.{name}').ATTACKS:
            assert row.name not in rows, f'two attacks are called {row.name}'
            rows[row.name] = row
    return rows
