"""Plain words: no docstring, message of an exception or paragraph of a page begins as a riddle."""

import ast

import pytest

from support import ROOT

# A sentence says who does what, so none begins with a relative clause in place of a noun.
BANNED = ("What ", "Whatever ", "Whoever ", "One that ", "Those that ", "Where what ")

HELD = (
    "ebmcore/**/*.py",
    "docs/**/*.py",
    "plugins/**/*.py",
    "plugins/**/*.py.tmpl",
    "examples/**/*.py",
)
PAGES = (
    "*.md",
    "docs/*.md",
    "docs/guides/*.md",
    "docs/plugins/*.md",
    "docs/start/*.md",
    "plugins/*/README.md",
    "plugins/**/README.md.tmpl",
    "examples/**/*.md",
)

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def sentences(tree):
    """Yield the line and the text of each docstring and of each message of a raised exception."""
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            for value in (*node.exc.args, *(keyword.value for keyword in node.exc.keywords)):
                yield value.lineno, opening(value)


def opening(node):
    """Return the text with which an expression begins, "" when only a run can tell."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return opening(node.values[0]) if node.values else ""
    if isinstance(node, ast.BinOp):
        return opening(node.left)
    return ""


def riddles(source, name):
    """List the sentences of a file that begin as none should."""
    return [
        f"{name}:{line}: {text.splitlines()[0]}"
        for line, text in sentences(ast.parse(source))
        if text.startswith(BANNED)
    ]


def paragraphs(text):
    """Yield the number and the text of each line of a page that begins a paragraph or an entry.

    Headings and rows of tables may ask: "What it costs" is a title there, no sentence.
    """
    code, before = False, ""
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if bare.startswith("```"):
            code = not code
        entry = bare.startswith("- ")
        if not code and not line.startswith("    ") and (entry or not before):
            yield number, bare.removeprefix("- ").lstrip("*")
        before = bare


@pytest.mark.parametrize("pattern", HELD)
def test_no_sentence_begins_with_a_riddle(pattern):
    files = sorted(ROOT.glob(pattern))
    assert files, f"{pattern}: no file; has the folder moved?"
    found = [
        riddle
        for file in files
        # a template's "$package" is no Python before it is filled in
        for riddle in riddles(file.read_text().replace("$", ""), file.relative_to(ROOT))
    ]
    assert not found, "name the thing or the actor first:\n" + "\n".join(found)


@pytest.mark.parametrize("pattern", PAGES)
def test_no_paragraph_begins_with_a_riddle(pattern):
    files = sorted(ROOT.glob(pattern))
    assert files, f"{pattern}: no file; has the folder moved?"
    found = [
        f"{file.relative_to(ROOT)}:{number}: {text}"
        for file in files
        for number, text in paragraphs(file.read_text())
        if text.startswith(BANNED)
    ]
    assert not found, "name the thing or the actor first:\n" + "\n".join(found)


@pytest.mark.parametrize("start", BANNED)
@pytest.mark.parametrize(
    "source",
    [
        '"""{}is found."""',
        'class Found:\n    """{}is found."""',
        'async def find():\n    """{}finds."""',
        'def find():\n    def inner():\n        """{}finds."""',
        'raise ValueError("{}was found")',
        'raise ValueError(f"{}was {{found}}")',
        'raise ValueError("{}was found: " + found)',
        'raise Problem(key, message="{}was found") from None',
    ],
)
def test_a_riddle_is_found_wherever_a_sentence_stands(source, start):
    assert len(riddles(source.format(start), "file.py")) == 1
    assert not riddles(source.format(f"See {start}"), "file.py")


def test_a_riddle_is_found_where_a_paragraph_begins():
    page = "# {0}\n\n{0}\n- {0}\nso {0}\n\n{0}\n| {0} |\n\n```\n{0}\n```\n\n    {0}\n"
    lines = paragraphs(page.format("What is it"))
    assert [number for number, text in lines if text.startswith(BANNED)] == [3, 4, 7]
