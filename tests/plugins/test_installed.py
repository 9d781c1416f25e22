"""Distributions are read as `importlib.metadata` reads, and judged as `packaging` judges them."""

import importlib.metadata
import sys
import zipfile
from importlib.machinery import PathFinder

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from ebmcore.plugins import installed
from ebmcore.plugins.installed import (
    InfoFolder,
    Metadata,
    read_metadata,
    unmet,
)

HEAD = "Metadata-Version: 2.1\nName: site-a\nVersion: 1.5\n"


def put(folder, name, metadata, **files):
    info = folder / name
    info.mkdir(parents=True)
    for file, text in {"METADATA": metadata, **files}.items():
        (info / file).write_text(text)
    return info


def first(name):
    return next(installed.distributions(name), None)


def by_importlib(distribution):
    requires = tuple(distribution.requires or ())
    return Metadata(distribution.name or "", distribution.version or "", requires)


@pytest.fixture(autouse=True)
def without_the_backport(monkeypatch):
    """Undo what the package importlib_metadata, once imported, does to Python's finders."""
    kept = [f for f in sys.meta_path if getattr(f, "__module__", "") != "importlib_metadata"]
    monkeypatch.setattr(sys, "meta_path", kept)
    if not hasattr(PathFinder, "find_distributions"):
        finder = importlib.metadata.MetadataPathFinder
        own = staticmethod(finder.find_distributions)
        monkeypatch.setattr(PathFinder, "find_distributions", own, raising=False)


@pytest.fixture
def in_folders(monkeypatch):
    """Have Python find distributions in folders alone, whatever pytest's plugins added."""
    monkeypatch.setattr(sys, "path", [p for p in sys.path if not p.endswith((".zip", ".egg"))])


def test_what_is_installed_here_is_read_alike(in_folders):
    expected = sorted(map(by_importlib, importlib.metadata.distributions()))
    found = list(installed.distributions())
    assert {type(there) for there in found} == {InfoFolder}
    assert sorted(map(read_metadata, found)) == expected
    for name in {name for name, *_ in expected}:
        assert read_metadata(first(name)) == by_importlib(importlib.metadata.distribution(name))


@pytest.mark.parametrize(
    "text",
    [
        HEAD,
        "NAME:site-a\nversion:  1.5 \nRequires-dist: a\nRequires-Dist: b; extra == 'c'\n",
        HEAD + "License: one\n  two\n\n  three\nRequires-Dist: a\n",
        HEAD + "Description: x\n Requires-Dist: no\n\tName: no\nRequires-Dist: a\n",
        HEAD + "\nRequires-Dist: in-the-text\n",
        HEAD + "no header\nRequires-Dist: in-the-text\n",
        HEAD + "Two Words: x\nRequires-Dist: in-the-text\n",
        HEAD + "Name: other\nVersion: 9\n",
        HEAD + "Requires-Dist: a;\n  extra == 'c'\nRequires-Dist: b\n",
        HEAD.replace("\n", "\r\n") + "Requires-Dist: a\r\n\r\nName: b\r\n",
        "Name:\nVersion: 1.5\n",
    ],
)
def test_headers_are_read_as_an_email_is(tmp_path, text):
    info = put(tmp_path, "site_a-1.5.dist-info", text)
    expected = by_importlib(importlib.metadata.Distribution.at(info))
    found = read_metadata(InfoFolder(str(info)))
    assert found[:2] == (expected.name.strip(), expected.version.strip())
    assert found.requires == tuple(" ".join(r.split()) for r in expected.requires)


def test_the_first_on_the_path_counts(tmp_path, monkeypatch, in_folders):
    for folder, version in (("old", "1"), ("new", "2")):
        put(tmp_path / folder, f"Site.A-{version}.dist-info", HEAD.replace("1.5", version))
        monkeypatch.syspath_prepend(str(tmp_path / folder))
    for name in ("site-a", "site_a", "SITE.a"):
        assert read_metadata(first(name)).version == "2"
    assert first("site") is None
    added = put(tmp_path / "new", "site-1.dist-info", HEAD)
    assert first("site") == InfoFolder(str(added))


def test_archives_and_hooks_are_left_to_importlib(tmp_path, monkeypatch, in_folders):
    archive = tmp_path / "site.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("site_a-1.5.dist-info/METADATA", HEAD)
    monkeypatch.syspath_prepend(str(archive))
    found = first("site-a")
    assert isinstance(found, importlib.metadata.Distribution)
    assert read_metadata(found) == ("site-a", "1.5", ())
    assert "site-a" in {read_metadata(there).name for there in installed.distributions()}
    sys.path.remove(str(archive))

    class Hook:
        @staticmethod
        def find_distributions(context):
            return iter(())

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Hook])
    assert isinstance(first("pytest"), importlib.metadata.Distribution)


def test_an_egg_is_read(tmp_path, monkeypatch, in_folders):
    put(tmp_path, "site_a.egg-info", "", **{"PKG-INFO": HEAD, "requires.txt": "b>=2\n"})
    (tmp_path / "site_a.egg-info" / "METADATA").unlink()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert read_metadata(first("site-a")) == ("site-a", "1.5", ("b>=2",))


VERSIONS = ["2", "2.0", "2.6.0", "2.6", "2.6.0+cpu", "2.10", "2.6rc1", "2.6.post1", "1!2.6", "3"]
BOUNDS = ["", ">=2", "<2.6.0", ">=2.6", ">=2.6.0,<3", "<3,>=2.0", ">=2.6, <2.10", ">=2.10"]


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_plain_requirement_is_met_as_packaging_says(monkeypatch, version, bounds):
    monkeypatch.setattr(installed, "_installed", lambda name: version)
    text = f"some-thing{bounds}"
    expected = Requirement(text).specifier.contains(version, prereleases=True)
    assert (unmet(text) == "") == expected
    if Version(version).pre is None and "!" not in version and "post" not in version:
        assert installed._is_met("some-thing", bounds) == expected


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("no-such-thing; extra == 'more'", True),
        ('no-such-thing>=2 ; extra=="more"', True),
        ("no-such-thing; extra == 'a' or extra == ''", False),
        ("no-such-thing; python_version < '3'", True),
        ("no-such-thing; python_version >= '3'", False),
        ("pluggy", True),
        ("pluggy (>=1)", True),
        ("pluggy!=0.1,~=1.0", True),
        ("pluggy[more]>=1", True),
        ("pluggy==0.1", False),
    ],
)
def test_other_requirements_are_left_to_packaging(text, met):
    assert (unmet(text) == "") == met
