"""What makes a site of these pages, beside mkdocs.yml: a hook of MkDocs.

They are written to be read on GitHub too, so their links lead to files: those that lead out of
docs/ become pages of the site, or links to the repository. The reference is made of the docstrings,
and no file.
"""

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]

CHANGELOG = "changelog.md"

# The modules that are public, in the order in which one needs them.
REFERENCE = {
    "streamkit": ["streamkit"],
    "adapters": [
        f"streamkit_adapters.{name}"
        for name in ("flask", "django", "starlette", "fastapi", "wsgi", "asgi")
    ],
    "metrics": ["streamkit.metrics"],
    "channels": ["streamkit.channels"],
    "testing": ["streamkit.testing"],
    "adapting": ["streamkit.adapting"],
}

LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)")


def on_files(files: Any, config: Any) -> Any:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    files.append(File.generated(config, CHANGELOG, content=changelog))
    for name, modules in REFERENCE.items():
        content = f"# Reference: {name}\n\n" + "\n\n".join(f"::: {each}" for each in modules)
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """The page with links that lead somewhere on the site, or to the repository."""
    source = page.file.src_uri
    folder = PurePosixPath(source).parent if source != CHANGELOG else PurePosixPath("..")

    def lead(link: re.Match[str]) -> str:
        target = normpath((PurePosixPath("docs") / folder / link[1]).as_posix())
        if target == "CHANGELOG.md":
            return CHANGELOG
        if target.startswith("docs/"):
            return relpath(target.removeprefix("docs/"), PurePosixPath(source).parent)
        assert (ROOT / target).exists(), f"{source} has a link to {target}, which is not there"
        return f"{config.repo_url.rstrip('/')}/blob/main/{target}"

    return LINK.sub(lead, markdown)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Docstrings end a sentence before an example with two colons, as Python's own do."""
    return html.replace("::</p>", ":</p>")
