"""Data, plugins and processes that tests of several rooms share: `from support import servers`.

The option `pythonpath` in pyproject.toml makes this package importable in tests, and nowhere else.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]  # of the repository
MORE = bool(os.environ.get("EBMCORE_TEST_MORE"))  # the longest tests take all their cases

# marks a test that is long and proves what shorter ones prove in parts
only_more = pytest.mark.skipif(not MORE, reason="EBMCORE_TEST_MORE=1 runs it")

# the kinds of plugin that `ebmcore plugins new` writes
_SCAFFOLD = ROOT / "plugins" / "ebmcore-testing" / "ebmcore_testing" / "scaffold"
NEW_KINDS = sorted({p.name for p in _SCAFFOLD.iterdir() if p.is_dir()} - {"common"})

# files of parts, to be named as plugins
_PLUGINS = Path(__file__).parent / "plugins"
COMPOSED = _PLUGINS / "composed_parts.py"
FORKING = _PLUGINS / "forking.py"
HARD = _PLUGINS / "hard_parts.py"
MAPS = _PLUGINS / "map_parts.py"
OPTIM = _PLUGINS / "optim_parts.py"
PARTS = _PLUGINS / "parts.py"
STREAMS = _PLUGINS / "stream_parts.py"
RANKED = _PLUGINS / "rank_parts.py"
SKIPS = _PLUGINS / "skip_parts.py"
TABLE = _PLUGINS / "table_parts.py"

# scripts of their own
_SCRIPTS = Path(__file__).parent / "scripts"
FORK_SERVER = _SCRIPTS / "fork_server.py"
RANKS = _SCRIPTS / "ranks.py"
RANK_GRADIENTS = _SCRIPTS / "rank_gradients.py"
