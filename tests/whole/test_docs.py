"""The guides: every hook stands in one with its signature, and every command on the page runs."""

import ast
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

import ebmcore
from ebmcore import hooks
from ebmcore.contracts import BUILD_SLOTS, CHAINS_SLOTS, KERNEL_SLOTS, LOSS_SLOTS
from ebmcore.plugins import Status
from support import ROOT, environments

OURS = [ROOT, *sorted(p.parent for p in (ROOT / "plugins").glob("*/pyproject.toml"))]
GUIDE = [ROOT / "docs" / "plugins.md", *sorted(ROOT.glob("docs/plugins/*.md"))]
FOLDERS = ("*.md", "docs/*.md", "docs/guides/*.md", "docs/plugins/*.md", "docs/start/*.md")
PAGES = sorted(page for folder in FOLDERS for page in ROOT.glob(folder))
GUIDES = [page for page in PAGES if page.parent != ROOT or page.name == "README.md"]


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str

    @property
    def file(self):
        """The file that the block is, if its first line says so."""
        named = re.match(r"# ([\w-]+\.(?:py|yaml))\n", self.text)
        return named and named[1]


def text_of(pages):
    return "\n".join(page.read_text() for page in pages)


def blocks(pages):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text_of(pages), re.DOTALL | re.MULTILINE)
    return [Block(*pair) for pair in found]


def test_every_hook_stands_in_the_guide_with_its_signature():
    tree = ast.parse(Path(hooks.__file__).read_text())
    signatures = [
        f"def {node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("ebmcore_")
    ]
    lines = [
        line
        for block in blocks(GUIDE)
        if block.language == "text"
        for line in block.text.splitlines()
        if line.startswith("def ")
    ]
    assert len(signatures) >= 11
    assert sorted(lines) == sorted(signatures)


def test_the_guide_names_what_there_is():
    text = text_of(GUIDE)
    statuses = re.findall(r"^\| `(\w+)` \| .* \| .*\|$", text, re.MULTILINE)
    assert [s for s in statuses if s in set(Status)] == list(Status)
    for name in (*BUILD_SLOTS, *LOSS_SLOTS, *KERNEL_SLOTS, *CHAINS_SLOTS):
        assert f"`{name}`" in text
    for name in re.findall(r"`((?:Positive|NonNegative)\w+|Probability)`", text):
        assert hasattr(ebmcore, name)


@pytest.mark.plugins
def test_the_guide_names_every_suite():
    from ebmcore import testing

    text = text_of(GUIDE)
    for name in testing.__all__:
        assert name == "Suite" or not name.endswith("Suite") or name in text


def test_the_readme_leads_to_the_guide():
    assert "docs/plugins.md" in (ROOT / "README.md").read_text()


def test_the_guides_python_is_python():
    for block in blocks(GUIDE):
        if block.language == "python":
            ast.parse(block.text)


def test_nothing_that_is_run_uploads():
    for block in blocks(GUIDE):
        assert block.language != "sh" or "upload" not in block.text


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Run a line in an environment whose pip finds our wheels, in a folder that is empty at first.

    Its first `ebmcore` is a script's as pip made it; after that, `ebmcore` and `pytest` are forks.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    environments.build_wheels(OURS, tmp_path / "wheels")
    (folder := tmp_path / "empty").mkdir()
    warm = {"pytest"}
    with environments.Environment(tmp_path / "venv") as environment:
        scripts = environment.folder / "bin"
        (scripts / "pip").write_text(f'#!/bin/sh\nexec "{environment.python}" -m pip "$@"\n')
        (scripts / "pip").chmod(0o755)
        variables = {
            **os.environ,
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(tmp_path / "wheels"),
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as the option's value: no isolation
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        for name in ("PYTHONPATH", "VIRTUAL_ENV"):
            variables.pop(name, None)

        def run(line):
            program, *arguments = shlex.split(line)
            if program in warm:
                return environment.run("-m", program, *arguments, cwd=folder, warm=True)
            warm.update({program} - {"pip"})
            return subprocess.run(
                ["bash", "-ec", line], cwd=folder, env=variables, timeout=600,
                capture_output=True, text=True, check=False,
            )  # fmt: skip

        yield folder, run


@pytest.mark.slow
@pytest.mark.plugins
def test_the_guides_commands_run(shell):
    folder, run = shell
    said = ""
    for block in blocks(GUIDE):
        if block.file:
            (folder / block.file).write_text(block.text)
        for line in block.text.splitlines() if block.language == "sh" else ():
            done = run(line)
            text = done.stdout + done.stderr
            assert done.returncode == 0, f"{line}\n{text[-4000:]}"
            said += text
    assert said.count("run FINISHED") == 8
    assert (folder / "my-energies" / "my_energies" / "ring.py").is_file()


def test_each_test_that_a_promise_names_is_there():
    text = (ROOT / "docs" / "reliability.md").read_text().partition("## Checkpoints")[2]
    named, file = set(), ""
    for found in re.finditer(r"`(?:((?:[\w-]+/)+test_\w+\.py)|(?=::))(?:::(test_\w+))?`", text):
        file = found[1] or file
        named.add((file, found[2]))
    assert len(named) > 20
    for file, test in named:
        room, _, rest = file.partition("/")
        plugins = ROOT / "plugins" / room / "tests" / rest
        source = (plugins if room.startswith("ebmcore-") else ROOT / "tests" / file).read_text()
        assert test is None or f"def {test}(" in source, (file, test)


def anchors(page):
    """Return the anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    for link in links:
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}: no such heading"


def test_the_architecture_names_files_that_are_there():
    text = (ROOT / "docs" / "architecture.md").read_text()
    walk, _, rest = text.partition("## What happens when")[2].partition("## Where to change")
    table, _, order = rest.partition("## The order of imports")
    folder = ROOT / "ebmcore"
    for name in re.findall(r"`([\w/]+\.py)`", walk):
        core = ROOT / "ebmcore" / name  # or beside the file that was named before it
        path = core if core.is_file() or "/" in name else folder / name
        assert path.is_file(), name
        folder = path.parent
    named = re.findall(r"`([\w/-]+(?:\.py|/))`", table)
    assert len(re.findall(r"^\| .* \| .*`.* \|$", table, re.MULTILINE)) >= 20
    assert all((ROOT / name).exists() for name in named), named
    rooms = {path.parent.name for path in (ROOT / "ebmcore").glob("*/__init__.py")}
    assert rooms <= set(re.findall(r"\w+", order.split("```")[1]))


def test_the_storages_of_sweeps_name_a_dialect_and_its_driver():
    make_url = pytest.importorskip("sqlalchemy").make_url
    text = (ROOT / "docs" / "sweeps.md").read_text()
    urls = re.findall(r"`((?:postgresql|mysql)[^`*…]+@[^`*…]+)`", text)
    assert len(urls) >= 3
    for url in urls:
        dialect = make_url(url).get_dialect()
        assert url.startswith(f"{dialect.name}+{dialect.driver}://"), url


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_a_page_begins_with_who_needs_it(page):
    title, first = page.read_text().split("\n\n")[:2]
    assert title.startswith("# ")
    assert "for you, if" in " ".join(first.lower().split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_paragraph_begins_with_a_riddle(page):
    for text in page.read_text().split("\n\n"):
        assert not re.match(r"(?:[-*] )?(?:What|Whatever|Whoever|One that) ", text), text
