import copy
import hashlib
import math
import re
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from resemb_gnn.experiment.report.columns import columns_of
from resemb_gnn.experiment.report.page import FigureGroup, Picture
from resemb_gnn.experiment.report.text import html, markdown, summary, text_table
from resemb_gnn.experiment.report.verdict import verdict

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>|`{{ 7*7 }}"


class Page(HTMLParser):
    """Elements, scripts and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.text += data


def hostile(value: Any) -> Any:
    """The same with every text that data or a user could have brought made hostile."""
    if isinstance(value, dict):
        return {key if key in KEYS else key + HOSTILE: hostile(v) for key, v in value.items()}
    if isinstance(value, list):
        return [hostile(part) for part in value]
    return value + HOSTILE if isinstance(value, str) and value != "plain" else value


KEYS = {
    *("schema", "data", "settings", "runs", "versions", "command", "name", "description"),
    *("embedding", "model", "seed", "test", "valid", "train", "gap", "best_epoch", "epochs"),
    *("auc", "gauc", "logloss", "curve", "train_loss", "seconds", "seconds_per_epoch"),
    *("examples_per_second", "num_parameters"),
}


@pytest.fixture(scope="module")
def results(make_results: Callable) -> dict[str, Any]:
    return make_results()


@pytest.fixture(scope="module")
def page(results: dict[str, Any], make_geometry: Callable) -> str:
    return html(results, {"gcn": make_geometry(), "gat": make_geometry(residual=0.1)})


def test_text_table(results: dict[str, Any]) -> None:
    head, rule, *rows, note = text_table(results).splitlines()
    assert len({len(line) for line in (head, rule, *rows)}) == 1
    assert [row.split()[0] for row in rows] == ["plain", "average", "gcn", "gat"]
    assert "95 % interval" in note
    for row, line in zip(summary(results), rows, strict=True):
        assert f"{row.test_auc.mean:.4f} ± {row.test_auc.std:.4f}" in line
        found = row.difference
        if found is not None:
            assert f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]" in line


SPREAD = re.compile(
    r"±|\bmean\b[^.]* seeds|deviation|(?<!no )(?<!an )interval|\[\+|over seeds|bar their"
)


@pytest.mark.usefixtures("no_pictures")
def test_one_seed_shows_no_spread_and_tells_of_none(make_results: Callable) -> None:
    results = make_results(("plain", "gcn"), seeds=1)
    for run in results["runs"]:
        run["ranking"] = {"among": 99, "examples": 7, "hr_10": 0.5}
    texts = [text_table(results), markdown(results), Page(html(results, {})).text]
    for text in texts:
        assert not SPREAD.findall(text)
        assert f"{summary(results)[1].difference.mean:+.4f}" in text
    assert "one seed" in texts[0]
    assert "no interval" in texts[1]
    assert "an interval takes several" in texts[2]
    alone = text_table(make_results(("plain",)))  # a deviation, and nothing to differ from
    assert "standard deviation over seeds" in alone
    assert "interval" not in alone


@pytest.mark.usefixtures("no_pictures")
def test_one_seed_with_intervals_over_users(make_results: Callable) -> None:
    results = make_results(("plain", "gcn"), seeds=1)
    figures = {"mean": 0.1, "low": 0.05, "high": 0.2, "seeds": 1}
    results["over_users"] = {"gcn": dict.fromkeys(("auc", "gauc", "logloss"), figures)}
    for text in (markdown(results), Page(html(results, {})).text):
        assert text.count("+0.1000 [+0.0500, +0.2000]") == 3
        assert "95 % interval over users is that of a bootstrap" in text
        assert "t-interval" not in text
        assert "over seeds" not in text


@pytest.mark.usefixtures("no_pictures")
def test_further_tables(make_results: Callable) -> None:
    results = make_results(("plain", "gcn"))
    figures = {"mean": 0.1, "low": 0.05, "high": 0.2, "seeds": 3}
    for place, run in enumerate(results["runs"]):
        run["ranking"] = {"among": 99, "examples": 22_363, "hr_10": 0.5 + place / 10}
    results["over_users"] = {"gcn": dict.fromkeys(("auc", "gauc", "logloss"), figures)}
    for text in (text_table(results), markdown(results), Page(html(results, {})).text):
        assert "Differences to plain" in text
        assert text.count("+0.1000 [+0.0500, +0.2000]") == 3
        assert "AUC, over users" in text
        assert "Ranking among 99 drawn items" in text
        assert "0.7000 ± 0.2000" in text  # of HR@10 of plain
        assert not re.search(r"\bnan\b", text)
    for text in (markdown(results), Page(html(results, {})).text):
        assert "of 22,363 examples:" in text
        assert "what another sample of users would change" in text


def test_markdown(results: dict[str, Any]) -> None:
    text = markdown(results)
    table = text.split("\n\n")[2].splitlines()
    assert len(table) == 2 + 4
    titles, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table)
    columns = columns_of(results)
    assert titles == [column.title for column in columns]
    for cells, row in zip(rows, summary(results), strict=True):
        assert cells == [column.cell(row).text for column in columns]
    assert "| num_items | 12,101 |" in text
    assert "| split.by | last |" in text
    assert "| lr | 0.001 |" in text
    assert "```\nresemb-gnn compare --data Beauty.txt --out runs/beauty\n```" in text
    assert "| torch | 2.8.0 |" in text
    assert "GAUC = Σ" in text


@pytest.mark.usefixtures("no_pictures")
def test_verdict(make_results: Callable) -> None:
    results = make_results(("plain", "average", "gcn", "gat"))
    auc = {"gcn": (0.71, 0.711, 0.712), "average": (0.69, 0.689, 0.688), "gat": (0.6, 0.7, 0.8)}
    results["settings"]["epochs"] = 7
    for run in results["runs"]:
        run["test"]["auc"] = auc.get(run["embedding"], (0.7, 0.7, 0.7))[run["seed"]]
        run["best_epoch"], run["epochs"] = 5, 7
    results["runs"][2]["best_epoch"] = 7
    found = dict(verdict(results))
    rows = {row.embedding: row.difference for row in summary(results)}
    shown = {
        name: f"{name} {one.mean:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"
        for name, one in rows.items()
        if one is not None
    }
    assert rows["gat"].low < 0 < rows["gat"].high
    cut = "more --epochs than 7 may gain, the best was the last one: gcn in 1 of 3 runs"
    size = "44,726 test examples, 22,363 users, 12,101 items, 198,502 behaviours"
    assert [*found.values()] == [shown["gcn"], shown["average"], shown["gat"], cut, size]
    assert [title.split()[0] for title in found] == ["Ahead", "Behind", "Undecided", "Cut", "Size"]
    for text in (markdown(results), Page(html(results, {})).text):
        for title, says in found.items():
            assert title in text.replace("\\", "")
            assert says in text.replace("\\", "")


def test_verdict_without_a_baseline_or_runs(make_results: Callable) -> None:
    alone = make_results(("gcn",), seeds=1)
    reached = f"{alone['runs'][0]['test']['auc']:.4f}"
    assert f"highest test AUC is {reached}, of gcn" in dict(verdict(alone))["No difference"]
    single = make_results(("plain", "gcn"), seeds=1)
    assert "one seed" in verdict(single)[0][0]
    single["over_users"] = {"gcn": {"auc": {"mean": 0.1, "low": -0.1, "high": 0.3, "seeds": 1}}}
    assert ("Intervals of these over users", "zero lies in that of gcn") in verdict(single)
    none = {"auc": {"mean": 0.1, "low": math.nan, "high": math.nan, "seeds": 1}}
    title, says = "Intervals of these over users", "too few users for one of average"
    several = make_results(("plain", "gcn", "average"), seeds=1)
    several["over_users"] = {"average": none}
    assert (title, says) in verdict(several)
    several["over_users"] |= single["over_users"]
    assert (title, f"{says}; of the others, zero lies in that of gcn") in verdict(several)
    assert verdict(alone | {"runs": []}) == []


@pytest.mark.parametrize("number", range(1, 13))
def test_no_picture_stands_alone_in_a_row(number: int) -> None:
    group = FigureGroup("", [Picture("", "")] * number)
    alone = number % group.columns == 1 and group.columns > 1
    assert not alone or number in (7,)  # neither twos nor threes: it stands in the middle


def test_one_kind_of_minus(page: str) -> None:
    assert re.search(r">-\d", page)
    assert "\N{MINUS SIGN}" not in page


def test_markdown_of_hostile_text(results: dict[str, Any]) -> None:
    bad = hostile(results)
    bad["command"] = "a ``` b"
    text = markdown(bad)
    fenced = text.index("````\na ``` b\n````")
    outside = text[:fenced] + text[fenced + 20 :]
    assert "<" not in outside
    for block in text.split("\n\n"):
        if block.startswith("| "):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_dates_of_the_split_are_dates(results: dict[str, Any]) -> None:
    dated = copy.deepcopy(results)
    dated["data"]["split"] = {"valid_from": 1512086400000000, "test_from": 1700, "seed": 10**15}
    text = markdown(dated)
    assert "| split.valid_from | 2017-12-01 00:00 UTC |" in text
    assert "| split.test_from | 1700 |" in text  # a time of another kind stays what it is
    assert f"| split.seed | {10**15} |" in text


@pytest.mark.usefixtures("no_pictures")
def test_a_stopped_comparison_says_so(make_results: Callable) -> None:
    results = make_results(("plain", "gcn"))
    complete = (text_table(results), markdown(results), html(results, {}))
    assert not [text for text in complete if "Not complete" in text]
    results["runs"].pop()
    for text in (text_table(results), markdown(results), html(results, {})):
        assert "Not complete, seeds are missing: gcn lacks 2." in text
    results["runs"] = []
    for text in (text_table(results), markdown(results), html(results, {})):
        assert "No run has ended yet." in text


def test_not_finite_figures(results: dict[str, Any]) -> None:
    bad = copy.deepcopy(results)
    for run, value in zip(bad["runs"][:3], (math.nan, math.inf, None), strict=True):
        for part in ("test", "valid", "train"):
            run[part] = dict.fromkeys(run[part], value)
        run["gap"] = run["best_epoch"] = run["num_parameters"] = value
        run["curve"] = [epoch | {"train_loss": value, "valid": {}} for epoch in run["curve"]]
    plain, *_, gat = text_table(bad).splitlines()[2:6]
    assert plain.split()[1] == "–"
    assert gat.split()[4] == "–"  # nothing to differ from
    assert "±" in gat
    for text in (markdown(bad), Page(html(bad, {})).text):
        assert not re.search(r"\bnan\b", text)


def test_gap_by_epoch_where_it_was_measured(results: dict[str, Any]) -> None:
    assert "Generalisation gap by epoch" in Page(html(results, {})).text
    old = copy.deepcopy(results)
    for run in old["runs"]:
        for epoch in run["curve"]:
            del epoch["gap"]
    text = Page(html(old, {})).text
    assert "Generalisation gap by epoch" not in text
    assert "Training loss by epoch" in text


def test_page_shows_every_figure(page: str, results: dict[str, Any]) -> None:
    text = Page(page).text
    for row in summary(results):
        for column in columns_of(results):
            assert column.cell(row).text in text
            assert column.meaning in text
    for run in results["runs"]:
        assert f"{run['test']['auc']:.4f}" in text
        assert f"{run['best_epoch']} of {run['epochs']}" in text
    for part in ("22,363", "split.negatives", "0.001", results["command"], "2.8.0"):
        assert part in text
    assert results["data"]["description"] in text
    assert "chosen by validation AUC" in text
    assert "evaluated once" in text
    assert "Test AUC less that of plain" in text
    assert page.count("<svg") == 3 + 4 + 3


def test_page_needs_no_network(page: str) -> None:
    parsed = Page(page)
    for tag, attributes in parsed.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
        assert not {"src", "href", "action", "srcset"} & attributes.keys()
        assert attributes.get("xlink:href", "#").startswith("#")
        assert "url(" not in (attributes.get("style") or "").replace("url(#", "")
    assert "@import" not in page
    assert "url(" not in page.replace("url(#", "")
    policy = next(a["content"] for _, a in parsed.elements if a.get("http-equiv"))
    assert policy.startswith("default-src 'none';")


def test_page_runs_its_own_script_only(page: str) -> None:
    parsed = Page(page)
    (script,) = parsed.scripts
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(a["content"] for _, a in parsed.elements if a.get("http-equiv"))
    assert f"script-src 'sha256-{digest}';" in policy


def test_hostile_text_is_inert(results: dict[str, Any], page: str, make_geometry: Callable) -> None:
    bad = hostile(results)
    name = bad["runs"][-1]["embedding"]
    text = html(bad, {name: make_geometry()})
    good, parsed = Page(page), Page(text)
    assert parsed.scripts == good.scripts
    assert {tag for tag, _ in parsed.elements} == {tag for tag, _ in good.elements}
    for _, attributes in parsed.elements:
        assert not [key for key in attributes if key.startswith("on")]
    assert parsed.text.count(HOSTILE) > 30
    assert "Embeddings compared on Beauty.txt" + HOSTILE in parsed.text


def test_ids_are_unique(page: str) -> None:
    ids = [attributes["id"] for _, attributes in Page(page).elements if "id" in attributes]
    assert ids
    assert len(set(ids)) == len(ids)


def test_same_results_same_bytes(results: dict[str, Any], make_geometry: Callable) -> None:
    pages = [html(copy.deepcopy(results), {"gcn": make_geometry()}) for _ in range(2)]
    assert pages[0] == pages[1]


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")


def rendered(page: str, folder: Path, *options: str) -> tuple[str, str]:
    """The document after its scripts ran, and what the browser logged."""
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", f"--user-data-dir={folder / 'profile'}"),
            *("--enable-logging=stderr", *options, "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout, done.stderr


@needs_browser
@pytest.mark.usefixtures("no_pictures")
def test_browser_sorts_the_table(results: dict[str, Any], tmp_path: Path) -> None:
    page = html(results, {})
    click = """<script>
        const column = (n) => [...document.querySelectorAll("table.sortable")[0].tBodies[0].rows]
            .map((row) => row.cells[n].dataset.value).join(" ");
        const button = (n) => document.querySelectorAll("table.sortable thead button")[n];
        const seen = [];
        button(1).click(); seen.push(column(0));
        button(1).click(); seen.push(column(0));
        button(2).click(); seen.push(column(0));
        button(2).click(); seen.push(column(0));
        button(0).click(); seen.push(column(0));
        document.title = seen.join("; ");
    </script></body>"""
    unlocked = re.sub("<meta http-equiv[^>]*>", "", page).replace("</body>", click)
    dom, _ = rendered(unlocked, tmp_path)
    rows = summary(results)
    best = [row.embedding for row in sorted(rows, key=lambda row: -row.test_auc.mean)]
    gain = [name for name in best if name != "plain"]
    expected = [
        best,
        best[::-1],
        [*gain, "plain"],
        [*gain[::-1], "plain"],  # no figure: last either way
        sorted(best, reverse=True),
    ]
    title = re.search("<title>(.*)</title>", dom)[1]
    assert title == "; ".join(" ".join(names) for names in expected)


@needs_browser
def test_browser_finds_no_error_and_fits_a_phone(
    results: dict[str, Any], make_geometry: Callable, tmp_path: Path
) -> None:
    page = html(hostile(results), {"gcn": make_geometry()})
    frame = f"""<iframe style="width: 375px; height: 800px" srcdoc="{escape(page)}"
        onload="const root = this.contentDocument.documentElement;
            const buttons = root.querySelectorAll('button').length;
            const beyond = root.scrollWidth - root.clientWidth;
            document.title = [root.clientWidth > 300, beyond, buttons]">
        </iframe>"""
    dom, log = rendered(f"<!DOCTYPE html><title></title>{frame}", tmp_path)
    assert "CONSOLE" not in log, log
    columns = page.count('<th scope="col"')  # each has a button if the script was let run
    assert unescape(re.search("<title>(.*)</title>", dom)[1]) == f"true,0,{columns}"
