"""The pages of docs/, and the code in them."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
README = DOCS.parent / "README.md"

if not DOCS.is_dir():
    pytest.skip("the sources are away: an installed build is being tested", allow_module_level=True)


def code(page, language="python"):
    """The code of a page, from top to bottom."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.M | re.S)
    assert blocks
    return "\n".join(blocks)


def commands(page):
    """The commands of a page, in order, each as its arguments."""
    lines = re.findall(r"^\$ imeiset (.*)$", (DOCS / page).read_text(), re.M)
    return [line.split() for line in lines]
