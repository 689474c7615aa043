"""Sphinx: how the site looks, and what makes its reference out of docstrings. Nothing is fetched."""

from numpydoc.xref import DEFAULT_LINKS

import imeiset
import imeiset.errors

project = "imeiset"
version = release = imeiset.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
source_suffix = {".md": "markdown"}

myst_heading_anchors = 3  # the anchors that GitHub makes
myst_enable_extensions = ["attrs_inline"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autosummary_generate = False
# What these do is said without them.
autodoc_mock_imports = [
    "cryptography",
    "fsspec",
    "securesystemslib",
    "tuf",
    "granian",
    "prometheus_client",
    "pyspark",
]
smartquotes_action = "qe"  # two hyphens are no dash: they begin an option
default_role = "py:obj"  # a name in backticks is a link, if it is one of ours
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc_xref_aliases = {name: name for name in DEFAULT_LINKS} | {  # nothing outside: no network
    one.__name__: f"imeiset.{'' if one.__name__ in imeiset.__all__ else 'errors.'}{one.__name__}"
    for one in vars(imeiset.errors).values()
    if isinstance(one, type) and issubclass(one, Exception)
}
python_use_unqualified_type_names = True
maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"

# `imeiset.1` is the page of the commands.
man_pages = [("reference/commands", "imeiset", "is this phone blocked?", "", 1)]
html_theme = "furo"
html_title = f"imeiset {version}"
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}
highlight_language = "text"
pygments_style = "friendly"
pygments_dark_style = "one-dark"


def setup(app):
    """A store is made by `create` and `open`: what its class takes is nobody's business."""
    app.connect(
        "autodoc-process-signature",
        lambda app, what, name, *_: ("", None) if name == "imeiset.Store" else None,
    )
