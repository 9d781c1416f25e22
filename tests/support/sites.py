"""Distributions that offer commands, written into a folder on the path."""

import sys

LEAFLET = '''
"""All about leaflets."""
import torch  # heavy: only a call may import it
from ebmcore import ConfigError, EbmError
from ebmcore.cli import Answer, AsJson, out

def leaflet(name: str, as_json: AsJson = False):
    """Write a page about a run.

    A second paragraph.
    """
    if name == "refused":
        raise EbmError("no such run: refused")
    if name == "lost":
        open("/nowhere/at/all")
    if name == "silent":
        return None
    if name == "mistaken":
        raise KeyError("mine")
    return Answer({"name": name}, lambda: out(f"a page about {name}"), code=3)
'''
APP = '''
import typer
from ebmcore import EbmError

app = typer.Typer(help="Pages of many kinds.")

@app.command()
def front() -> None:
    """Write the front page."""
    print("front")

@app.command()
def back() -> None:
    """Write the back page."""
    raise EbmError("there is no back page")
'''


class Site:
    """A folder on the path that distributions lie in."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def put(self, name, commands, code="", **modules):
        """Write a distribution whose plugin offers `commands`."""
        package = f"site_{name}"
        hook = (
            "from ebmcore import hookimpl\n@hookimpl\ndef ebmcore_commands():\n"
            f"    return {commands!r}\n{code}"
        )
        (self.folder / package).mkdir()
        for module, text in {"__init__": "", "plugin": hook, **modules}.items():
            (self.folder / package / f"{module}.py").write_text(text)
        info = self.folder / f"site_{name}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: site-{name}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[ebmcore.v1]\n{name} = {package}.plugin\n")
        for module in [m for m in sys.modules if m.partition(".")[0] == package]:
            del sys.modules[module]
