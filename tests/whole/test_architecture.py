"""The house: imports point one way, folders and files stay small.

docs/architecture.md draws it. Imports under `TYPE_CHECKING` and inside functions count, too.
"""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter

from support import ROOT

# a room may import from its own row and from the rows above it
ORDER = (
    "version types masking terminal errors kinds spaces contracts run_contracts service_contracts"
    " hooks decorators completion output_file",
    "plugins",
    "config",
    "distributed",
    "data runs sampling",
    "train",
    "checkpoint",
    "compile",
    "monitoring trackers",
    "runner",
    "testing",
    "cli __main__",
)
ALLOWED = {  # an import against the order, and why it stands
    # `sample_chain(compile=True)` compiles its steps; both imports wait for such a call
    ("ebmcore.sampling.chain", "ebmcore.compile.chains"): "it asks whether compiling pays",
    ("ebmcore.sampling.walk", "ebmcore.compile.chains"): "the type of compiled steps",
}
CONTRACTS = ("contracts.py", "run_contracts.py", "service_contracts.py")
KERNEL = (*CONTRACTS, "plugins", "config", "sampling", "data", "train")


@cache
def modules():
    """Return the core's modules by dotted name."""
    found = {}
    for file in sorted((ROOT / "ebmcore").rglob("*.py*")):
        if file.suffix in (".py", ".pyi") and "scaffold" not in file.parts:
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            found.setdefault(name.removesuffix(".__init__"), []).append(file)
    return found


def imported(file):
    """Yield every module of the core that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("ebmcore"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ebmcore"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in modules() else node.module


@cache
def graph():
    """Return what each module of the core imports."""
    return {
        name: {found for file in files for found in imported(file)} & modules().keys() - {name}
        for name, files in modules().items()
    }


def row_of(module):
    """Return the place of a module's room in the order."""
    room = module.split(".")[1]
    (row,) = [at for at, rooms in enumerate(ORDER) if room in rooms.split()]
    return row


def test_no_import_goes_round():
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        raise AssertionError(f"these import each other: {' <- '.join(error.args[1])}") from None


def test_rooms_import_in_one_order():
    against = {
        (name, other)
        for name, others in graph().items()
        for other in others
        if name != "ebmcore" and (other == "ebmcore" or row_of(other) > row_of(name))
    }
    assert against == ALLOWED.keys()
    assert len(ALLOWED) <= 5


def test_folders_and_files_stay_small():
    tops = [ROOT / "ebmcore", *(ROOT / "plugins").iterdir(), *(ROOT / "examples").iterdir()]
    files = [file for top in tops if top.is_dir() for file in top.rglob("*.py")]
    assert len(files) > 200
    folders = {file.parent for file in files}
    crowded = {str(f): len(list(f.glob("*.py"))) for f in folders if len(list(f.glob("*.py"))) > 15}
    assert not crowded
    assert not [str(file) for file in files if len(file.read_text().splitlines()) > 400]


def lines(*names):
    """Count the lines of some of the core's files and folders."""
    tops = [ROOT / "ebmcore" / name for name in names]
    files = [f for top in tops for f in ([top] if top.is_file() else top.rglob("*.py"))]
    return sum(len(file.read_text().splitlines()) for file in files)


def test_the_core_stays_small():
    assert 4_000 < lines(*KERNEL) < 11_800
    assert lines("") < 32_700


def test_one_file_reads_the_rank_and_one_chooses_the_device():
    sources = {str(f.relative_to(ROOT)): f.read_text() for f in (ROOT / "ebmcore").rglob("*.py")}
    reads = [name for name, text in sources.items() if '"WORLD_SIZE"' in text or '"RANK"' in text]
    assert reads == ["ebmcore/distributed/rank.py"]
    chooses = [name for name, text in sources.items() if "current_accelerator(" in text]
    assert chooses == ["ebmcore/train/device.py"]
    asks = sorted(name for name, text in sources.items() if "RankInfo.from_environment()" in text)
    assert asks == [  # each of a process of its own: an experiment's, a run's, an opened run's
        "ebmcore/distributed/comm.py",
        "ebmcore/runner/reopen.py",
        "ebmcore/train/device.py",
    ]
