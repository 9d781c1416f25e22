"""What is shown holds no escape sequence of anybody's: names, paths, metrics, messages, metadata.

Every command is run on hostile names, to a file and to a terminal; and nothing in the core prints
but by the one place that cleans.
"""

import ast
import importlib.metadata
import json
import os
import pty
import re
import select
import shutil
import tty
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest

import ebmcore
import support
from ebmcore.terminal import clean, one_line
from support import ROOT

PARTS = str(support.PARTS)
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202eowned\u2066\u200b\u2028\u2029\x85\r\x08"
SEEN = r"\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202eowned\u2066\u200b\u2028\u2029\x85\x0d\x08"
SPELLED = ("Cc", "Cf", "Cs", "Zl", "Zp")
OTHERS = {point.name for point in importlib.metadata.entry_points(group="ebmcore.v1")}
FEW = [word for name in sorted(OTHERS) for word in ("-p", f"no:{name}")]

PLUGIN = f"""
import sys, warnings
from ebmcore import hookimpl
EVIL = {EVIL!r}
def hostile(energy, x, step, *, at: int = -1):
    return energy(x).mean(), {{EVIL: x.mean()}}
hostile.__doc__ = f'''Summary {{EVIL}}.

Args:
    at: A key {{EVIL}}.
'''
class broken:
    def __init__(self, *, at: int = 1):
        raise KeyError(EVIL)
    def __call__(self, energy, x):
        return energy(x).mean()
def raises(energy, x, step):
    if step == 3:
        raise ValueError(EVIL)
    return energy(x).mean()
def looks(view):
    view.warn(EVIL)
    return {{EVIL: 1.0}}
def fails(view):
    raise ValueError(EVIL)
@hookimpl
def ebmcore_losses():
    return {{"hostile": "evil:hostile", "broken": "evil:broken", "raises": "evil:raises",
            EVIL: "evil:hostile", "none": "evil:" + EVIL}}
@hookimpl
def ebmcore_monitors():
    return {{"looks": "evil:looks", "fails": "evil:fails"}}
@hookimpl
def ebmcore_run_end(run):
    warnings.warn(EVIL)
    raise RuntimeError(EVIL)
"""
METADATA = f"Metadata-Version: 2.1\nName: evil\nVersion: 1.0{EVIL[:5]}\nSummary: {EVIL[:20]}\n"
POINTS = f"[ebmcore.v1]\nevil = evil\nwrong{EVIL[:20]} = nowhere{EVIL[:20]}\nnoequals{EVIL[:20]}\n"


@pytest.mark.parametrize("text", ["plain", "a\nb\tc", "naïve 数学 ½ ∇ 🙂 e\u0301", "\\x1b"])
def test_text_of_any_script_stays_as_it_is(text):
    assert clean(text) == text


def test_every_invisible_or_moving_character_is_spelled_out():
    for code in (*range(0x20000), *range(0xE0000, 0xE0200), 0x10FFFF):
        shown = clean(chr(code))
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp") and code not in (
            9,
            10,
        ):
            assert re.fullmatch(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}", shown)
            assert ast.literal_eval(f"'{shown}'") == chr(code)
        else:
            assert shown == chr(code)
    assert one_line("a\nb\tc\x1b") == r"a\nb\tc\x1b"
    assert clean(EVIL) == SEEN


@pytest.fixture(scope="module")
def made(make_config, tmp_path_factory):
    """Runs with hostile names and records, and a plugin with hostile metadata."""
    folder = tmp_path_factory.mktemp("made")
    config = make_config()
    (folder / "c.json").write_text(json.dumps(config))
    runs = folder / "runs"
    done = ebmcore.run(config, runs_dir=runs, progress=False)
    for name in (f"one{EVIL}", f"two{EVIL}\n"):
        shutil.copytree(done.dir, runs / name)
        facts = json.loads((done.dir / "run.json").read_text())
        hostile = json.loads(json.dumps(facts), object_hook=_hostile)
        hostile |= {"status": facts["status"], "seed": facts["seed"], "from_config": True}
        hostile |= {"mlflow": {"uri": f"http://{EVIL}", "run_id": EVIL, "status": EVIL}}
        (runs / name / "run.json").write_text(json.dumps(hostile))
    (runs / f"two{EVIL}\n" / "config.yaml").write_text(f"name: {json.dumps(EVIL)}\n")
    broken = runs / f"broken{EVIL}"
    broken.mkdir()
    (broken / "run.json").write_text(f'{{"status": {json.dumps(EVIL)}, "error": 5}}')
    site = folder / "site"
    (site / "evil-1.0.dist-info").mkdir(parents=True)
    (site / "evil.py").write_text(PLUGIN)
    (site / "evil-1.0.dist-info" / "METADATA").write_text(METADATA)
    (site / "evil-1.0.dist-info" / "entry_points.txt").write_text(POINTS)
    (folder / f"file{EVIL}.py").write_text(f"raise ValueError({EVIL!r})\n")
    (folder / f"data{EVIL}.yaml").write_text(json.dumps({**config, EVIL: EVIL, "energy": EVIL}))
    return folder


def _hostile(facts):
    keep = {"sha256"}
    named = {k: v if k in keep or not isinstance(v, str) else v + EVIL for k, v in facts.items()}
    return {**named, EVIL: 0.5}


def named(words):
    return "-".join(w.replace(EVIL, "EVIL").strip() for w in words if w not in FEW)[:60]


ONE, TWO, BROKEN = f"runs/one{EVIL}", f"runs/two{EVIL}\n", f"runs/broken{EVIL}"
RUN = ["run", "c.json", *FEW, "--runs-dir", f"more{EVIL}"]
COMMANDS = [
    ["runs", "list"],
    ["runs", "show", ONE],
    ["runs", "show", TWO],
    ["runs", "show", BROKEN],
    ["runs", "diff", ONE, "runs/" + EVIL],
    ["runs", "diff", ONE, TWO],
    ["runs", "sync"],
    ["runs", "sync", ONE],
    ["resume", TWO],
    ["resume", BROKEN],
    ["sample", ONE, "-n", "3", "-o", f"out{EVIL}.npz", "-p", PARTS],
    ["sample", ONE, "-o", f"nowhere{EVIL}/x.npz"],
    ["evaluate", ONE, "-p", PARTS, "monitors=[evil:looks,evil:fails]"],
    ["plugins", "list", *FEW, "-p", f"file{EVIL}.py"],
    ["plugins", "doctor", *FEW, "-p", f"file{EVIL}.py"],
    ["plugins", "new", f"new{EVIL}", "--kind", "loss"],
    ["plugins", "new", "plain", "--kind", f"loss{EVIL}"],
    ["plugins", "new", "plain", "--kind", "loss", "--into", f"into{EVIL}"],
    ["components", "loss", *FEW],
    ["components", EVIL],
    ["show", "loss", "evil:hostile", *FEW],
    ["show", "loss", EVIL, *FEW],
    ["show", "optimizer", EVIL],
    ["schema", *FEW],
    ["check", "evil"],
    ["check", EVIL],
    [*RUN, "loss=[parts:gap,evil:hostile]", "monitors=[evil:looks,evil:fails]"],
    [*RUN, "loss=evil:raises"],
    [*RUN, "loss=evil:broken"],
    [*RUN, f"loss={EVIL}"],
    [*RUN, f"{EVIL}=3"],
    [*RUN, EVIL],
    [*RUN, "--dry-run", "loss=[parts:gap,evil:hostile]"],
    ["run", f"data{EVIL}.yaml", *FEW],
    ["run", f"none{EVIL}.yaml"],
    ["run", "c.json", "-p", EVIL],
    ["runs", "list", "--runs-dir", EVIL],
    ["runs", f"--{EVIL}"],
    [EVIL],
    *(
        pytest.param(words, marks=pytest.mark.plugins, id=named(words))
        for words in (
            ["run", "c.json", "--seeds", EVIL],
            ["seeds", f"none{EVIL}.yaml", "-n", "2"],
            ["sweep", f"none{EVIL}.yaml"],
            ["sweep", f"data{EVIL}.yaml"],
            ["sweep", "--join", f"sqlite:///none{EVIL}.db"],
        )
    ),
]


@pytest.fixture
def command(made, forks, tmp_path):
    """Run a command among the hostile names; return its exit code and what it showed."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)

    env = {**os.environ, "TERM": "xterm-256color"}
    options = {"cwd": tmp_path, "env": env, "path": [tmp_path / "site"]}

    def call(words, **broken):
        return forks.run("-m", "ebmcore", *words, **options, **broken)

    return call


def moving(text):
    return {c for c in text if unicodedata.category(c) in SPELLED} - {"\n"}


@pytest.mark.parametrize("words", COMMANDS, ids=named)
def test_no_command_shows_what_moves_a_cursor(words, command):
    done = command(words)
    assert "Traceback" not in done.stderr
    assert not moving(done.stdout)
    assert not moving(done.stderr)
    told = "owned" in done.stdout + done.stderr or "holds the control" in done.stderr
    assert told is ("--dry-run" not in words)


DOCUMENTS = [
    ["runs", "list"],
    ["runs", "show", ONE],
    ["runs", "diff", ONE, "runs/" + EVIL],
    ["runs", "sync", ONE],
    ["plugins", "list", *FEW],
    ["components", "loss", *FEW],
    ["show", "loss", "evil:hostile", *FEW],
    ["schema", *FEW],
    [*RUN, "loss=[parts:gap,evil:hostile]", "monitors=[evil:looks,evil:fails]"],
]


@pytest.mark.parametrize("words", DOCUMENTS, ids=named)
def test_a_document_says_the_same_in_json_s_own_escapes(words, command):
    done = command([*words, "--json"])
    assert not moving(done.stdout)
    assert not moving(done.stderr)
    held = json.dumps(json.loads(done.stdout))
    assert json.dumps(EVIL)[1:-1] in held or json.dumps(EVIL[:5])[1:-1] in held


SHOWN = [["runs", "list"], ["runs", "show", ONE], ["components", "loss", *FEW], COMMANDS[-2],
         ["runs", "show", ONE, "--json"], ["run", f"none{EVIL}.yaml"], DOCUMENTS[-1],
         ["evaluate", ONE, "-p", PARTS, "monitors=[evil:looks,evil:fails]"]]  # fmt: skip


@pytest.mark.parametrize("words", SHOWN, ids=named)
def test_a_terminal_is_sent_no_sequence_but_our_own(words, command):
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    seen = []
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(_read, ours, seen)
        name = os.ttyname(theirs)
        command(words, broken={1: name, 2: name})
        os.close(theirs)
        reading.result(60)
    shown = b"".join(seen).decode()
    assert "owned" in shown
    for sequence in ("\x1b]0;", "\x1b[2J", "\x9b", "\u202e", "\x07"):
        assert sequence not in shown
    assert not moving(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", shown))


def _read(terminal, seen):
    """Take what comes until nobody has the other end."""
    while select.select([terminal], [], [], 60)[0]:
        try:
            seen.append(os.read(terminal, 65536))
        except OSError:
            return


OWNER = re.compile(r"^(sys|typer|click|rich|rich\.console|traceback)\.")
PRINTING = re.compile(
    r"(print|pprint|echo|secho|Console|print_exc|print_exception|showwarning|lastResort"
    r"|std(out|err)(__)?\.(write|writelines|buffer\.write)"
    r"|logging\.(debug|info|warning|error|exception|critical|log))"
)


def test_nothing_in_the_core_prints_but_the_one_place():
    files = [f for f in (ROOT / "ebmcore").rglob("*.py") if f.parent.name != "terminal"]
    assert len(files) > 100
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                called = re.sub(
                    r"^(sys|typer|click|rich|rich\.console|traceback)\.", "", ast.unparse(node.func)
                )
                assert not PRINTING.fullmatch(called), f"{file}:{node.lineno} {called}"
