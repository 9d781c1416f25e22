"""The site's configuration: `make docs` builds it, with warnings as errors."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from ebmcore import __version__

project = "ebmcore"
author = "the authors of ebmcore"
version = release = __version__
html_title = f"ebmcore {__version__}"

extensions = ["myst_nb", "ebmcore_docs.extension"]
exclude_patterns = ["_build", "_ext"]
templates_path: list[str] = []
smartquotes = False  # formulas and code keep their own characters

myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # tables of benchmarks bring headings of their own

nb_execution_mode = "auto"  # the notebook pages run when the site is built
nb_execution_in_temp = True
nb_execution_timeout = 900  # of a cell, on a busy machine
nb_execution_raise_on_error = True
nb_merge_streams = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sourcelink = False
