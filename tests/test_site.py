"""The site builds without a warning, and its pages need nothing from the network."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="needs the extra docs")
pytest.importorskip("mkdocstrings", reason="needs the extra docs")
pytest.importorskip("nbconvert", reason="needs the extra docs")
ROOT = Path(__file__).parents[1]


class Page(HTMLParser):
    """What a page loads when it is opened, and what it links to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a":
            self.links.append(values.get("href") or "")
        elif tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(values.get("href") or "")
        elif values.get("src"):
            self.loads.append(values["src"] or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "EXECUTE_NOTEBOOKS": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_pages_load_nothing_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        assert page.loads, path
        for link in page.loads:
            assert not re.match(r"([a-z]+:)?//", link), (path, link)
    for path in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", path.read_text()), path


def test_links_within_the_site_lead_somewhere(pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        if path.name == "404.html":
            continue
        for link in page.links:
            target = link.split("#")[0].split("?")[0]
            if target and not re.match(r"[a-z]+:", target):
                assert (path.parent / target).exists(), (path, link)


def test_formulas_are_set(site: Path, pages: dict[Path, Page]) -> None:
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert "Xmath" not in text, path
        assert ":math:" not in text, path
        for formula in re.findall("<math.*?</math>", text, flags=re.DOTALL):
            assert "\\" not in formula, (path, formula)
            assert ">&<" not in formula, (path, formula)
        # A phone scrolls what is wider than itself: the theme's own tables, and formulas.
        wide = re.findall(r'(.{0,40})<math[^>]*display="block"', text)
        assert all(before.endswith('overflow: auto hidden">') for before in wide), path
        assert 'class="dataframe"' not in text, path
    theory = (site / "theory.html").read_text(encoding="utf-8")
    assert theory.count('display="block"') == (ROOT / "docs/theory.md").read_text().count("$$") / 2
    assert "$" not in re.sub("<(code|pre|script).*?</\\1>", "", theory, flags=re.DOTALL)


def test_pages_of_the_repository_are_there(site: Path) -> None:
    for name in (
        "index",
        "CONTRIBUTING",
        "CHANGELOG",
        "benchmarks/accuracy/CONTEST",
        "examples/index",
        "notebooks/own_log",
    ):
        assert (site / f"{name}.html").is_file(), name


def test_the_navigation_holds_every_page_of_docs() -> None:
    nav = (ROOT / "mkdocs.yml").read_text().split("nav:")[1]
    docs = ROOT / "docs"
    pages = [path.relative_to(docs).as_posix() for path in docs.rglob("*.md")]
    pages += [f"notebooks/{path.stem}.md" for path in docs.rglob("*.ipynb")]
    assert not [page for page in pages if page not in nav]


@pytest.mark.parametrize("name", [path.stem for path in (ROOT / "docs/api").glob("*.md")])
def test_api_pages_hold_every_public_name(site: Path, name: str) -> None:
    page = (site / f"api/{name}.html").read_text()
    package = importlib.import_module(f"resemb_gnn.{name}")
    missing = [
        public
        for public in package.__all__
        if (inspect.isclass(getattr(package, public)) or callable(getattr(package, public)))
        and not re.search(rf'id="resemb_gnn\.{name}\.([a-z_.]+\.)?{public}"', page)
    ]
    assert not missing
