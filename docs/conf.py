"""How the pages of this folder become a site: ``tox -e docs``, or ``sphinx-build docs docs/_build/site``.

Nothing is fetched, neither when it is built nor when it is read: formulas are MathML, scripts and fonts lie in the
folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_site"))

import guidebench

project = "guidebench"
author = "the guidebench authors"
version = release = guidebench.__version__
html_show_copyright = False

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "declared",
    "evidence",
    "formulas",
    "outside",
    "reports",
]
exclude_patterns = ["_build", "_site", "**/.ipynb_checkpoints"]
# Indented blocks are commands as often as they are Python.
highlight_language = "none"

# Pages with outputs are executed here, and an error ends the build.  The one notebook is saved with its outputs, for
# those who read it in the repository; tests/docs runs it.
nb_execution_mode = "force"
nb_execution_excludepatterns = ["start/notebook.ipynb"]
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 600
nb_execution_in_temp = True
nb_merge_streams = True
# Progress and remarks go to standard error, which is not what a page is about.
nb_output_stderr = "remove"
# The kernel is the one beside this interpreter, whatever is installed elsewhere.
os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_class_signature = "separated"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False

html_theme = "pydata_sphinx_theme"
html_title = "guidebench"
html_static_path = ["_site/static"]
html_css_files = ["guidebench.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "footer_start": ["theme-version"],
    "footer_end": [],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
}
copybutton_exclude = ".linenos, .gp, .go"
