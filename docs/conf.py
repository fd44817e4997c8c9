"""How the pages of this folder become a site: ``make docs``."""

from nutonic import __version__

project, author, release = "nutonic", "the nutonic authors", __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"nutonic {release}"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# Pages are read as files too, where links to the project's other files lead somewhere.
suppress_warnings = ["myst.xref_missing"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
