"""Puts together what Sphinx makes the site of: the pages of docs/, the reference, and the order of all.

    python docs/_make/assemble.py build/docs/source

The pages stay plain Markdown, whose links work where they lie.
"""

import re
import shutil
import sys
from pathlib import Path

from tables import table

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# The order of the pages. A page of docs/ that is not here is an error.
CONTENTS: dict[str, tuple[str, ...]] = {
    "": ("getting-started", "install", "troubleshooting"),
    "Guides: lists": ("registers", "merging", "daily", "expired", "fleet", "why", "give-back", "follow"),
    "Guides: answers": ("fastapi", "embedding", "serve", "operation"),
    "Guides: records": ("screen", "pandas", "polars", "duckdb", "spark", "arrow", "clones"),
    "Concepts": ("concepts",),
    "Reference": (
        *("feeds", "http-api", "reference/commands", "reference/json", "reference/sets"),
        *("reference/registers", "reference/stores", "reference/lists", "reference/serve"),
        *(
            "reference/trust",
            "reference/integrations",
            "reference/errors",
            "reference/columns",
            "reference/descriptions",
        ),
        *("reference/serve-config", "reference/limits"),
    ),
    "Background": ("design", "sizing", "benchmarks", "how-tested", "contributing", "changelog"),
}
# Of these the title is too long for a list of pages.
_SHORT = {
    "concepts": "Words, statuses, durability, privacy",
    "design": "How it works, and what lost",
    "embedding": "Forks, asyncio, threads",
    "expired": "Entries that end",
    "fastapi": "FastAPI, Flask, gunicorn",
    "feeds": "How lists are read",
    "fleet": "A fleet",
    "follow": "Publish and follow",
    "operation": "Operation",
    "reference/descriptions": "register.toml",
    "reference/serve-config": "eir.toml",
    "registers": "Registers and stores",
    "screen": "CSV and Parquet files",
    "serve": "5G and S13",
    "sizing": "Sizing",
}
_BESIDE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}  # of the root, as pages


# A picture for dark pages and one for light pages, as GitHub shows them.
_PICTURE = re.compile(
    r'<picture>\s*<source [^>]*srcset="(.+?)">\s*<img src="(.+?)" alt="(.+?)">\s*</picture>'
)


def page(text: str, from_root: bool = False) -> str:
    """A page as Sphinx gets it, with links to files out of docs/ mended."""
    text = _PICTURE.sub(r"![\3](\2){.only-light} ![\3](\1){.only-dark}", text)

    def mended(found: re.Match[str]) -> str:
        path = found[1]
        if from_root:
            path = path.removeprefix("docs/") if path.startswith("docs/") else f"../{path}"
        if path.startswith("../"):
            name, *anchor = path.removeprefix("../").split("#")
            path = "#".join([_BESIDE.get(name) or (ROOT / name).as_posix(), *anchor])
        return f"]({path})"

    text = text.replace("```csv\n", "```text\n")  # which Pygments knows
    return re.sub(r"\]\(\s*(?!https?:|#|mailto:)([^)\s]+)\)", mended, text)


def _outside(text: str, target: Path) -> str:
    """Files of the project that pages link to, put beside them."""

    def copied(found: re.Match[str]) -> str:
        path = Path(found[1])
        if not path.is_file():
            raise SystemExit(f"a link to {path}, which is not there")
        shutil.copy(path, target / path.name)
        return f"]({path.name})"

    return re.sub(rf"\]\(({re.escape(ROOT.as_posix())}/[^)]+)\)", copied, text)


def looked_up() -> str:
    """The pages that are made, for those who look something up."""
    from reference import LOOKED_UP

    return "\n## Look something up\n\n" + table(
        ("what", "page"),
        ((told, f"[{title}](reference/{name}.md)") for name, (title, told) in LOOKED_UP.items()),
    )


def contents() -> str:
    """The order of the pages, for Sphinx."""
    parts = []
    for caption, names in CONTENTS.items():
        head = f":caption: {caption}\n" if caption else ""
        lines = [f"{_SHORT[name]} <{name}>" if name in _SHORT else name for name in names]
        parts.append("```{toctree}\n:hidden:\n:maxdepth: 2\n" + head + "\n" + "\n".join(lines) + "\n```\n")
    return "\n".join(parts)


def assemble(target: Path) -> None:
    """Write all that Sphinx needs to an empty directory."""
    from reference import files, pages

    shutil.rmtree(target, ignore_errors=True)
    (target / "reference").mkdir(parents=True)
    texts = {path.name: page(path.read_text()) for path in DOCS.glob("*.md")}
    texts |= {made: page((ROOT / name).read_text(), from_root=True) for name, made in _BESIDE.items()}
    texts |= {f"reference/{name}.md": text for name, text in pages().items()}
    texts["index.md"] += looked_up() + "\n" + contents()
    for name, text in texts.items():
        (target / name).write_text(_outside(text, target))
    (target / "schemas").mkdir()
    for name, text in files().items():
        (target / name).write_text(text)
    for path in [*DOCS.glob("*.png"), *DOCS.glob("*.svg"), *Path(__file__).parent.glob("*.css")]:
        shutil.copy(path, target / path.name)
    shutil.copy(Path(__file__).with_name("conf.py"), target)


if __name__ == "__main__":
    assemble(Path(sys.argv[1]))
