"""The site's own steps: pages from beside docs/, links between them, notebooks, formulas as MathML.

mkdocs calls the functions (``hooks`` in mkdocs.yml), mkdocstrings the class.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from griffe import Extension, Object
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[1]
# Pages that lie where a reader of the repository looks for them; what they link to comes along.
BESIDE = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "benchmarks/accuracy/CONTEST.md",
    "benchmarks/accuracy/SEARCH.md",
)
CODE = re.compile(
    r"(^ *(?P<fence>`{3,}).*?^ *(?P=fence) *$|^(?: {4}[^\n]*\n)+|`+[^`\n]+`+)", re.M | re.S
)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """The text with ``change`` made to what is no code."""
    found, end = [], 0
    for code in CODE.finditer(text):
        found += [change(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*found, change(text[end:])])


def place(repo_path: str) -> str:
    """Where the site has a file of the repository: docs/ is its root, all else as it lies."""
    return repo_path.removeprefix("docs/")


def target(repo_path: str, link: str) -> str | None:
    """The repository's file that a page's relative link means; None for any other link."""
    if re.match(r"[a-z]+:|#|/", link):
        return None
    path = os.path.normpath(PurePosixPath(repo_path).parent / link.split("#")[0])
    readme = f"{path}/README.md"
    return readme if (ROOT / readme).is_file() else path


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages beside docs/ and every file of the repository that a page links to."""
    pages = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    seen, queue = set(pages), [*pages, *BESIDE]
    while queue:
        path = queue.pop()
        if path not in seen:
            seen.add(path)
            uri, source = place(path), str(ROOT / path)
            if uri not in files.src_uris:
                files.append(File.generated(config, uri, abs_src_path=source))
        if path.endswith(".md"):
            for link in LINK.finditer((ROOT / path).read_text(encoding="utf-8")):
                file = target(path, link[3])
                if file is not None and file not in seen and (ROOT / file).is_file():
                    queue.append(file)
    for path in sorted((ROOT / "docs/notebooks").glob("*.ipynb")):
        for uri, content in notebook(path, config.extra["execute_notebooks"]):
            files.append(File.generated(config, uri, content=content))
    return files


def notebook(path: Path, execute: bool) -> list[tuple[str, str | bytes]]:
    """The page of a notebook and its pictures: as it stands, or executed anew."""
    os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress")  # tqdm's, which names a path
    limits = {"timeout": 600, "startup_timeout": 600}  # seconds
    settings = Config({"ExecutePreprocessor": {"enabled": execute, **limits}})
    names = {"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    text, found = MarkdownExporter(config=settings).from_filename(str(path), resources=names)
    text = re.sub(r"\]\((\w+)\.ipynb\)", r"](\1.md)", text)  # links to the pages of other notebooks
    text = text.replace('<table border="1" class="dataframe">', "<table>")  # the theme's own
    return [
        (f"notebooks/{path.stem}.md", text),
        *((f"notebooks/{name}", data) for name, data in found["outputs"].items()),
    ]


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links to the site's places and formulas to MathML."""
    uri = page.file.src_uri
    repo_path = f"docs/{uri}" if (ROOT / "docs" / uri).is_file() else uri

    def turned(link: re.Match[str]) -> str:
        file = target(repo_path, link[3])
        if file is None:
            return link[0]
        if (ROOT / file).is_dir():
            return link[2]  # a folder has no page
        anchor = link[3].partition("#")[1:]
        there = os.path.relpath(place(file), PurePosixPath(uri).parent)
        return f"{link[1]}[{link[2]}]({there}{''.join(anchor)})"

    return outside_code(markdown, lambda text: dollars(LINK.sub(turned, text)))


def on_page_content(content: str, **_: Any) -> str:
    """Formulas in the place of what Markdown carried for them."""
    return re.sub(
        "Xmath([bi])([0-9a-f]+)X",
        lambda found: mathml(bytes.fromhex(found[2]).decode(), found[1] == "b"),
        content,
    )


def dollars(text: str) -> str:
    """``$$...$$`` and ``$...$`` kept from Markdown."""
    text = re.sub(r"\$\$(.+?)\$\$", lambda found: kept(found[1], "b"), text, flags=re.S)
    return re.sub(r"\$([^$\s](?:[^$]*[^$\s])?)\$", lambda found: kept(found[1]), text)


def kept(formula: str, kind: str = "i") -> str:
    """A word that carries a formula through Markdown, which would read signs of its own in it."""
    return f"Xmath{kind}{' '.join(formula.split()).encode().hex()}X"


def mathml(formula: str, block: bool) -> str:
    if r"\\" in formula and r"\begin" not in formula:
        formula = rf"\begin{{align*}}{formula}\end{{align*}}"
    found = convert(formula, display="block" if block else "inline")
    found = found.replace(r"\_", "_")  # it leaves them so within \text
    # One that is wider than a phone is scrolled; a span, as Markdown has it in a paragraph.
    return f'<span style="display: block; overflow: auto hidden">{found}</span>' if block else found


class Docstrings(Extension):
    """Docstrings are written with Sphinx' roles, which Markdown does not know."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = markdown_of(obj.docstring.value)


def markdown_of(text: str) -> str:
    """Formulas as MathML, references and literals as code, links as Markdown has them."""

    def block(found: re.Match[str]) -> str:
        return f"{found[1]}{kept(found[2] + found[3], 'b')}\n\n"

    text = re.sub(r"^( *)\.\. math::(.*)\n((?:\1 +\S.*(?:\n|$)|[ ]*\n)*)", block, text, flags=re.M)
    text = re.sub(r":math:`([^`]+)`", lambda found: kept(found[1]), text)
    text = re.sub(r":[a-z]+:`~[^`]*?([A-Za-z_]\w*)`", r"`\1`", text)
    text = re.sub(r":[a-z]+:`([^`]+)`", r"`\1`", text)
    return re.sub(r"`([^`<]+?)\s*<(https?:[^>]+)>`_", r"[\1](\2)", text)
