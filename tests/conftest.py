"""Fixtures and options of the core's tests."""

from collections import Counter

from support.fixtures import *  # noqa: F403 (its __all__ lists the fixtures)


def pytest_addoption(parser):
    """A test that needs what isn't installed shows that by any of its cases."""
    parser.addoption("--one-case", action="store_true", help="run one case of each test function")


def pytest_collection_modifyitems(config, items):
    """Put the files with the most slow tests first, so that no worker ends with a long one."""
    if config.getoption("--one-case"):
        functions = {(item.path, item.cls, item.originalname): item for item in reversed(items)}
        kept = set(functions.values())
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = [item for item in items if item in kept]
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
