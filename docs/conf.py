from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from pytest_orchestra import __version__

project = "pytest-orchestra"
author = "the pytest-orchestra contributors"
copyright = "the pytest-orchestra contributors, Apache-2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "orchestra_reference"]
exclude_patterns = ["_build", "_ext"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "exclude-members": "__new__, __init__"}
smartquotes = False  # quotes in messages and code stay as they are typed

html_theme = "furo"
html_title = f"pytest-orchestra {version}"
html_theme_options = {"navigation_with_keys": True}
