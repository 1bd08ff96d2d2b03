"""Amazon reviews, 5-core, as their publishers give them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from resemb_gnn.data import BehaviorLog
from resemb_gnn.datasets.behavior_dataset import BehaviorDataset
from resemb_gnn.datasets.data_source import DataSource
from resemb_gnn.datasets.raw_table import known_rows
from resemb_gnn.errors import InputError, shown, unknown_choice
from resemb_gnn.io.data_places import root_and_name
from resemb_gnn.io.download import fetch
from resemb_gnn.io.files import read_lines
from resemb_gnn.io.json_text import parse_json
from resemb_gnn.io.times import LAST_SECOND, parse_epoch

_FOLDERS = {  # of reviews and metadata
    2014: ("http://snap.stanford.edu/data/amazon/productGraph/categoryFiles",) * 2,
    2018: (
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2/categoryFilesSmall",
        "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2/metaFiles2",
    ),
}
_PAGES = {
    2014: "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html",
    2018: "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/",
}
_DOLLARS = re.compile(r"\$[0-9][0-9,]*([.][0-9]+)?")
# The value is looked ahead at, so that what only looks like the field hides no field behind it.
_ASIN = re.compile(r"""["']asin["']:\s*(?=(["'])(.*?)\1)""")


class AmazonReviews(BehaviorDataset):
    """Reviews of one category of Amazon's products (McAuley et al., SIGIR 2015; Ni et al., EMNLP
    2019), users and items with at least 5 each.

    Raw files of 2014: ``reviews_NAME_5.json.gz`` and ``meta_NAME.json.gz``; of 2018:
    ``NAME_5.json.gz`` and ``meta_NAME.json.gz``. A behaviour is a review, whatever its rating (or
    of ``min_rating`` and more); its time is the day of the review, and reviews of one day keep the
    file's order. The category is the last one of the product's last category path, as in DIN's
    preparation; products without are a category of their own. Features of a product are ``brand``,
    ``price`` in dollars, and ``categories``, all names of its paths.

    Args:
        root: folder of the data set.
        name: such as ``"Beauty"`` or ``"Electronics"``.
        year: of the publication, 2014 or 2018.
        min_rating: leave out reviews with fewer stars.
        force_reload: read the raw files anew.

    Raises:
        InputError: if a file is missing and cannot be downloaded, or cannot be used; it names file,
            line, field and value.
    """

    version = 3  # with features

    def __init__(
        self,
        root: str | Path,
        name: str,
        year: int = 2014,
        min_rating: float | None = None,
        force_reload: bool = False,
    ) -> None:
        if year not in _FOLDERS:
            raise unknown_choice(f"year={year}", year, _FOLDERS)
        self.name = name
        self.year = year
        self.min_rating = min_rating
        super().__init__(root, force_reload)

    @property
    def raw_file_names(self) -> list[str]:
        reviews = f"reviews_{self.name}_5" if self.year == 2014 else f"{self.name}_5"
        return [f"{reviews}.json.gz", f"meta_{self.name}.json.gz"]

    def options(self) -> dict[str, Any]:
        return {"name": self.name, "year": self.year, "min_rating": self.min_rating}

    def download(self) -> None:
        # The publishers give no checksums; a file that is cut off is seen when it is read.
        for folder, (name, path) in zip(_FOLDERS[self.year], self.raw_files.items(), strict=True):
            if not path.is_file():
                fetch(f"{folder}/{name}", path, _PAGES[self.year])

    def read(self) -> BehaviorLog:
        reviews_path, meta_path = self.raw_files.values()
        reviews = _read_reviews(reviews_path)
        if self.min_rating is not None:
            reviews = reviews.filter(pl.col("rating") >= self.min_rating)
            if reviews.is_empty():
                raise InputError(f"{reviews_path} holds no review of {self.min_rating} stars")
        products = _read_products(meta_path, set(reviews["item"]))
        category = products.select("item", "category")
        table = reviews.with_columns(parse_epoch(reviews["time"], "s"))
        return BehaviorLog.from_frame(
            table.join(category, on="item", how="left", maintain_order="left"),
            "user",
            "item",
            "time",
            category="category",
            items=known_rows(reviews["item"], products.drop("category")),
            kinds={"brand": "category"},
        )


def _read_reviews(path: Path) -> pl.DataFrame:
    columns: dict[str, list[Any]] = {"user": [], "item": [], "time": [], "rating": []}
    for number, line in _lines(path):
        review = _parse(path, number, line)
        columns["user"].append(_field(path, number, review, "reviewerID", str))
        columns["item"].append(_field(path, number, review, "asin", str))
        seconds = _field(path, number, review, "unixReviewTime", int)
        if abs(seconds) > LAST_SECOND:
            raise InputError(
                f"{path}, line {number}: field 'unixReviewTime' is {shown(seconds)}, which is no"
                " time in seconds since 1970"
            )
        columns["time"].append(seconds)
        columns["rating"].append(_field(path, number, review, "overall", int, float))
    if not columns["user"]:
        raise InputError(f"{path} is empty")
    kinds = {"user": pl.String, "item": pl.String, "time": pl.Int64, "rating": pl.Float64}
    return pl.DataFrame(columns, schema=kinds, strict=False)


def _read_products(path: Path, items: set[str]) -> pl.DataFrame:
    """A row for each of the ``items`` that the file tells of: ``item``, ``category``, ``brand``,
    ``price`` and ``categories``.
    """
    known: dict[str, dict[str, Any]] = {}
    for number, line in _lines(path):
        # Most products of a file are in no 5-core review: do not parse what is not asked for.
        quick = _ASIN.findall(line)
        if quick and not any(asin in items or "\\" in asin for _, asin in quick):
            continue
        product = _parse(path, number, line)
        item = _field(path, number, product, "asin", str)
        told = {
            "category": _leaf(path, number, product),
            "brand": _brand(product.get("brand")),
            "price": _price(product.get("price")),
            "categories": _names(product.get("categories", product.get("category"))),
        }
        if item in items:  # of a product with several lines, the first that tells
            first = known.setdefault(item, {})
            known[item] = told | {name: one for name, one in first.items() if one is not None}
    schema: dict[str, Any] = {
        "item": pl.String,
        "category": pl.String,
        "brand": pl.String,
        "price": pl.Float64,
        "categories": pl.List(pl.String),
    }
    return pl.DataFrame([{"item": item} | told for item, told in known.items()], schema=schema)


def _brand(value: Any) -> str | None:
    return " ".join(value.split()) or None if isinstance(value, str) and _is_whole(value) else None


def _price(value: Any) -> float | None:
    """Dollars, of a number (2014) or a text as ``"$1,299.00"`` (2018); some texts are scraps of a
    page, and tell none.
    """
    if isinstance(value, str) and _DOLLARS.fullmatch(value):
        return float(value[1:].replace(",", ""))
    return float(value) if isinstance(value, float) else None


def _names(value: Any) -> list[str]:
    """The names of all category paths, or of the one, each once."""
    paths = value if isinstance(value, list) else []
    if not any(isinstance(path, list) for path in paths):
        paths = [paths]
    names = [name for path in paths if isinstance(path, list) for name in path]
    names = [name for name in names if isinstance(name, str) and name and _is_whole(name)]
    return list(dict.fromkeys(names))


def _leaf(path: Path, number: int, product: dict[str, Any]) -> str | None:
    """The last category of a product's last path (2014), or of its one path (2018)."""
    found = product.get("categories", product.get("category"))
    if isinstance(found, list) and found and isinstance(found[-1], list):
        found = found[-1]
    if not found:
        return None
    if not isinstance(found, list) or not isinstance(found[-1], str) or not _is_whole(found[-1]):
        raise InputError(f"{path}, line {number}: category {shown(found)} is not a path of names")
    return found[-1]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a gz file that are not empty, with their numbers from 1."""
    return ((number, line) for number, line in read_lines(path) if line.strip())


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    """A line of JSON, or of a Python literal, as the metadata of 2014 are."""
    try:
        value = parse_json(line)
    except ValueError:
        try:
            value = ast.literal_eval(line.strip())
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
            raise InputError(
                f"{path}, line {number}: {shown(line.strip())} is neither JSON nor a literal:"
                f" {error}"
            ) from error
    if not isinstance(value, dict):
        raise InputError(f"{path}, line {number}: {shown(line.strip())} is not an object")
    return value


def _field(path: Path, number: int, record: dict[str, Any], name: str, *kinds: type) -> Any:
    value = record.get(name)
    if not isinstance(value, kinds) or isinstance(value, bool) or value == "":
        what = "missing" if name not in record else f"{shown(value)}, not {kinds[-1].__name__}"
        raise InputError(f"{path}, line {number}: field {name!r} is {what}")
    if isinstance(value, str) and not _is_whole(value):
        raise InputError(
            f"{path}, line {number}: field {name!r} is {shown(value)}, which is no valid Unicode"
        )
    return value


def _is_whole(text: str) -> bool:
    """Whether there are no halves of characters, which JSON can escape (as ``\\ud800``)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def source(path: Path) -> DataSource:
    """The data set as commands read it."""
    root, name = root_and_name(path, "amazon")
    year = 2014 if name.startswith("reviews_") else 2018
    dataset = AmazonReviews(root, name.removeprefix("reviews_"), year)
    return DataSource(
        f"amazon {dataset.name}",
        f"Amazon reviews of {year}, 5-core, {dataset.name}: a behaviour is a review; the category"
        " is the product's last one.",
        dataset.log,
    )
