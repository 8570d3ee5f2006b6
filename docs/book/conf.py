"""The notebooks as a static book: `./workshop book`. Sphinx and MyST-NB do the work; nothing is executed."""

project = "The netkit workshop"
author = "the authors of netkit"
extensions = ["myst_nb"]
root_doc = "index"
exclude_patterns = ["**/.ipynb_checkpoints"]
nb_execution_mode = "off"
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["mystnb.unknown_mime_type"]

html_theme = "furo"
html_title = "Docker networking, from the inside"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
