"""The site of docs/: every page is reached, each part has a page, configs are those of examples/.

Nothing here needs Sphinx but the last test, which builds the site where `make docs` installed it.
"""

import ast
import html
import re
import subprocess
import sys

import pytest
from markdown_it import MarkdownIt

from ebmcore import hooks
from ebmcore.kinds import OFFERED
from ebmcore.plugins.names import CORE_COMMANDS, GROUPS
from ebmcore.plugins.suggestions import KNOWN_COMMANDS
from support import ROOT, only_more

DOCS = ROOT / "docs"
OURS = {"ebmcore", *(p.name.removeprefix("ebmcore-") for p in (ROOT / "plugins").iterdir())}
GENERATED = {"parts", "commands", "contract", "about", "_build"}
CELL = re.compile(r"^```\{code-cell\}.*?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module", autouse=True)
def extension():
    """The modules of the site; of these `ebmcore_docs.extension` alone imports Sphinx."""
    sys.path.insert(0, str(DOCS / "_ext"))
    yield
    sys.path.remove(str(DOCS / "_ext"))
    for name in [name for name in sys.modules if name.startswith("ebmcore_docs")]:
        del sys.modules[name]


def test_every_page_is_reached_from_the_home_page():
    from ebmcore_docs import contents

    pages = {
        file.relative_to(DOCS).with_suffix("").as_posix(): file.read_text()
        for file in DOCS.rglob("*.md")
        if file.relative_to(DOCS).parts[0] not in GENERATED
    }
    assert len(pages) > 20
    assert contents.reached(pages, "index") == set(pages)


def test_a_toctree_lists_entries_that_begin_with_a_page():
    from ebmcore_docs import contents

    text = "## A\n\n- [X](x/y.md): z\n- see [Z](z.md)\n- [X](x/y.md#part)\n\n## B\n\n- [W](w.md)\n"
    assert contents.listed(text) == {"A": ["x/y"], "B": ["w"]}
    assert contents.toctrees(text, captions=True) == (
        "```{toctree}\n:hidden:\n:caption: A\n\nx/y\n```\n\n"
        "```{toctree}\n:hidden:\n:caption: B\n\nw\n```"
    )


@pytest.mark.plugins
def test_each_part_has_a_page_with_its_keys():
    from ebmcore_docs import parts

    from ebmcore.cli.parts.catalog import describe_component, open_host

    host = open_host(None)
    pages = parts.pages(host)
    offered = [c for kind in OFFERED for c in host.components(kind) if c.plugin.name in OURS]
    assert set(pages) == {*OFFERED, *(f"{c.kind}/{c.name}" for c in offered)}
    assert len(offered) > 100
    for component in offered:
        page = pages[f"{component.kind}/{component.name}"]
        assert f"]({component.kind}/{component.name}.md)" in pages[component.kind]
        for key in describe_component(host, component.kind, component.full_name)["keys"]:
            (row,) = re.findall(rf"^\| `{key['name']}` \| .*$", page, re.MULTILINE)
            assert len(re.findall(r"(?<!\\)\|", row)) == 5, row  # no cell ends early
        (line,) = re.findall(r"^from \S+ import \S+$", page, re.MULTILINE)
        assert line.endswith(component.target.rpartition(":")[2])
    assert "## Failures\n\nRaises ValueError when the lower bound" in pages["sampler/langevin"]
    assert "## Source\n\nRoberts and Tweedie 1996;" in pages["sampler/langevin"]
    assert "- [examples/digits.yaml]" in pages["sampler/langevin"]


@pytest.mark.plugins
def test_each_command_has_a_page_with_its_options():
    from ebmcore_docs import commands

    pages, listed = commands.pages(), commands.overview()
    assert {*CORE_COMMANDS, *KNOWN_COMMANDS}.difference(GROUPS) == {
        n.replace("-", " ") for n in pages
    }
    assert all(f"](commands/{name}.md): " in listed for name in pages)
    assert "| `-n <int range>` | How many events." in pages["sample"]
    assert "*a command of ebmcore-sweep*" in pages["runs-compare"]
    assert r"`--versions <warn\|refuse\|ignore>`" in pages["run"]  # no cell ends early


def test_the_contract_shows_each_hook_and_method():
    from ebmcore_docs import contract

    pages = contract.pages()
    for name in vars(hooks):
        if name.startswith("ebmcore_"):
            assert f"def {name}(" in pages["hooks"]
    assert "### Kernel.step\n" in pages["components"]
    assert "fields: Mapping[str, Tensor]  # (chains, ...) each" in pages["components"]
    assert "space: Space = REAL  # the set that events live in" in pages["runs"]


def rendered(markdown):
    """Return the text that a reader sees."""
    shown = MarkdownIt("commonmark").enable("table").render(markdown)
    return html.unescape(re.sub(r"<[^>]*>", "", shown)).strip()


@pytest.mark.parametrize(
    "text",
    [
        "E(x) = a*b*c + x_1 + y_1 <0.5> [0, 1](x) ~ #1",
        "- log p",
        "2. nats",
        "‖x‖ $h$ {a} \\x1b",
    ],
)
def test_a_reader_sees_a_formula_as_it_stands(text):
    from ebmcore_docs import docstrings

    assert rendered(docstrings.escaped(text)) == text


def test_a_docstring_keeps_its_code_lists_and_sections():
    from ebmcore_docs import docstrings

    text = (
        "E(x) = *x*.\n\nAs in\n    def f(x):\n\n        return x\nso\nlong.\n\n"
        "- `a`: one\n  more\n- b\n\nArgs:\n    x: Rows,\n        n.\n    y: None.\n\n"
        "Shapes: x. Raises ValueError for y.\nSource: A 1, eq. 2. Source: B.\n"
    )
    found = docstrings.described(text)
    assert found.lead == r"E(x) = \*x\*."
    assert found.text == (
        "As in\n\n```python\ndef f(x):\n\n    return x\n```\n\nso long.\n\n- `a`: one more\n- b\n\n"
        "- `x`: Rows, n.\n- `y`: None.\n\nShapes: x."
    )
    assert found.failures == "Raises ValueError for y."
    assert found.source == "A 1, eq. 2. \n\nB."


def test_the_gallery_shows_the_configs_as_they_are():
    from ebmcore_docs import gallery

    page = gallery.PAGE.read_text()
    assert page.count("```yaml\n# examples/") >= 8
    assert gallery.filled(page) == page, "run `python docs/_ext/ebmcore_docs/gallery.py`"
    old = "```yaml\n# examples/toys.yaml\nseed: 5\n```"
    assert gallery.filled(old) == gallery.config("examples/toys.yaml") != old


def test_cells_of_notebook_pages_are_python():
    pages = [page for page in DOCS.rglob("*.md") if CELL.search(page.read_text())]
    assert pages
    for page in pages:
        cells = CELL.findall(page.read_text())
        assert len(cells) >= 4
        for cell in cells:
            ast.parse(cell)


@only_more
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "docs", tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "parts" / "sampler" / "langevin.html").is_file()
