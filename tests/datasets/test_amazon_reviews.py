"""Amazon reviews in the publishers' formats of 2014 and 2018."""

import gzip
import json

import pytest

import resemb_gnn.datasets.amazon_reviews as module
from resemb_gnn import InputError
from resemb_gnn.datasets import AmazonReviews, load_source

REVIEWS = [  # reviewer, product, time, stars
    ("A3", "B00A", 1_400_000_000, 5.0),
    ("A1", "0000031852", 1_300_000_000, 4.0),
    ("A1", "B00B", 1_200_000_000, 1.0),
    ("A1", "B00A", 1_200_000_000, 5.0),  # of the same day: after B00B, as in the file
    ("A3", "B00C", 1_300_000_000, 3.0),
]
PATHS = {  # the last category of the last path counts
    "B00A": [["Beauty", "Hair Care"], ["Beauty", "Skin Care", "Face's"]],
    "0000031852": [["Clothing", "Girls"]],
    "B00B": [["Beauty", "Skin Care", "Face's"]],
    "B0ZZ": [["never reviewed"]],
}


def review(user, item, time, stars):
    return {
        "reviewerID": user,
        "asin": item,
        "reviewerName": 'J. "Mac" McDonald',
        "helpful": [2, 3],
        "reviewText": "It isn't bad.\u2028Really.",
        "overall": stars,
        "summary": "ok",
        "unixReviewTime": time,
        "reviewTime": "09 13, 2009",
    }


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def write_2014(folder, reviews=REVIEWS, paths=PATHS):
    write(folder / "reviews_Beauty_5.json.gz", [json.dumps(review(*row)) for row in reviews])
    products = [
        {
            "asin": item,
            "title": 'Girl\'s "Tutu"',
            "salesRank": {"Beauty": 7},
            "categories": path,
            "brand": f" {item[:3]}\n Ltd ",
            "price": 5.25,
        }
        for item, path in paths.items()
    ]
    write(folder / "meta_Beauty.json.gz", [repr(product) for product in products])


def write_2018(folder):
    write(folder / "Beauty_5.json.gz", [json.dumps(review(*row)) for row in REVIEWS])
    products = [
        {
            "category": path[-1],
            "tech1": "",
            "description": ["it's"],
            "asin": item,
            "price": "$1,005.5",
        }
        for item, path in PATHS.items()
    ]
    # 2018 knows products without categories, and prices that are scraps of the page.
    products.append({"category": [], "asin": "B00C", "price": ".a-box-inner{", "brand": ""})
    write(folder / "meta_Beauty.json.gz", [json.dumps(product) for product in products])


@pytest.mark.parametrize(("year", "fill"), [(2014, write_2014), (2018, write_2018)])
def test_reviews_and_last_categories(tmp_path, year, fill):
    fill(tmp_path / "raw")
    log = AmazonReviews(tmp_path, "Beauty", year).log
    assert log.user_ids.to_list() == ["A1", "A3"]
    assert log.item_ids.to_list() == ["0000031852", "B00A", "B00B", "B00C"]
    assert log.ptr.tolist() == [0, 3, 5]
    assert log.items.tolist() == [2, 1, 0, 3, 1]
    seconds = [1_200_000_000, 1_200_000_000, 1_300_000_000, 1_300_000_000, 1_400_000_000]
    assert log.times.tolist() == [1_000_000 * time for time in seconds]
    assert log.labels is None
    names = [log.category_ids[number] for number in log.item_category.tolist()]
    assert names == ["Girls", "Face's", "Face's", None]
    found = log.features.items.decode().to_dict(as_series=False)
    skin = ["Beauty", "Skin Care", "Face's"]
    of_a = ["Beauty", "Hair Care", "Skin Care", "Face's"] if year == 2014 else skin
    assert found["categories"] == [["Clothing", "Girls"], of_a, skin, None]
    if year == 2014:
        assert found["brand"] == ["000 Ltd", "B00 Ltd", "B00 Ltd", None]
        assert found["price"] == [5.25, 5.25, 5.25, None]
    else:
        assert found["brand"] == [None] * 4
        assert found["price"] == [1005.5, 1005.5, 1005.5, None]


@pytest.mark.parametrize("item", ['B"0', "B'0", "'asin': 'B"])
@pytest.mark.parametrize("spell", [json.dumps, repr])
def test_ids_and_titles_with_quotes(tmp_path, item, spell):
    write_2014(tmp_path / "raw", reviews=[(*REVIEWS[0][:1], item, *REVIEWS[0][2:])])
    product = {"title": "an 'asin': 'x", "asin": item, "categories": [["Nails"]]}
    write(tmp_path / "raw" / "meta_Beauty.json.gz", [spell(product)])
    log = AmazonReviews(tmp_path, "Beauty").log
    assert log.item_ids.to_list() == [item]
    assert log.category_ids.to_list() == ["Nails"]


def test_low_ratings_can_be_left_out(tmp_path):
    write_2014(tmp_path / "raw")
    log = AmazonReviews(tmp_path, "Beauty", min_rating=4).log
    assert log.num_behaviors == 3
    assert "B00C" not in log.item_ids
    with pytest.raises(InputError, match="no review of 6 stars"):
        AmazonReviews(tmp_path, "Beauty", min_rating=6)


def test_missing_files_are_fetched(tmp_path, monkeypatch):
    write_2014(tmp_path / "publisher")
    url = (tmp_path / "publisher").as_uri()
    monkeypatch.setattr(module, "_FOLDERS", {2014: (url, url)})
    assert AmazonReviews(tmp_path / "root", "Beauty").log.num_behaviors == 5
    with pytest.raises(InputError, match=r"reviews_Toys_5\.json\.gz is not there.*mcauley"):
        AmazonReviews(tmp_path / "root", "Toys")


@pytest.mark.parametrize("fill", [write_2014, write_2018])
@pytest.mark.parametrize("place", ["", "raw"])
def test_source_names_the_reviews_file(tmp_path, fill, place):
    fill(tmp_path / place)
    name = "reviews_Beauty_5.json.gz" if fill is write_2014 else "Beauty_5.json.gz"
    source = load_source(f"amazon:{tmp_path / place / name}")
    assert source.name == "amazon Beauty"
    assert source.log.num_behaviors == 5
    assert (tmp_path / "processed").exists() == bool(place)
    with pytest.raises(InputError, match=r"must name a file that ends in _5\.json\.gz"):
        load_source(f"amazon:{tmp_path / place}")


def bad(**changes):
    return json.dumps({**review(*REVIEWS[0]), **changes})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"line 2: '\{' is neither JSON nor a literal"),
        ("[1]", r"line 2: '\[1\]' is not an object"),
        ('{"asin": "B00A"}', "line 2: field 'reviewerID' is missing"),
        (bad(asin=3), "line 2: field 'asin' is 3, not str"),
        (bad(unixReviewTime="soon"), "line 2: field 'unixReviewTime' is 'soon', not int"),
        (bad(overall=None), "line 2: field 'overall' is None, not float"),
        (bad(asin="\ud800x"), r"line 2: field 'asin' is '\\ud800x', which is no valid Unicode"),
        (bad(reviewerID=""), "line 2: field 'reviewerID' is '', not str"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    write_2014(tmp_path / "raw")
    path = tmp_path / "raw" / "reviews_Beauty_5.json.gz"
    write(path, [bad(), line, bad()])
    with pytest.raises(InputError, match=rf"reviews_Beauty_5\.json\.gz, {message}"):
        AmazonReviews(tmp_path, "Beauty")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{'asin': 'B00A', 'categories': [[3]]}", r"category \[3\] is not a path of names"),
        ('{"asin": "B00A", "category": ["\\ud800"]}', r"category \['\\ud800'\] is not a path"),
        ("{'asin': 'B00A', 'categories': 'Hair'}", "category 'Hair' is not a path"),
        ("{'title': 'no id'}", "field 'asin' is missing"),
        ("{'asin': open('x', 'w')}", "is neither JSON nor a literal"),
    ],
)
def test_bad_metadata_are_named_and_never_run(tmp_path, monkeypatch, line, message):
    monkeypatch.chdir(tmp_path)
    write_2014(tmp_path / "raw")
    write(tmp_path / "raw" / "meta_Beauty.json.gz", [repr({"asin": "B0ZZ"}), line])
    with pytest.raises(InputError, match=rf"meta_Beauty\.json\.gz, line 2: .*{message}"):
        AmazonReviews(tmp_path, "Beauty")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["reviews_Beauty_5.json.gz", "meta_Beauty.json.gz"])
def test_file_that_is_cut_off_is_refused(tmp_path, name):
    write_2014(tmp_path / "raw")
    path = tmp_path / "raw" / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(
        InputError, match=rf"{name} cannot be read after line \d+, damaged or cut off"
    ):
        AmazonReviews(tmp_path, "Beauty")
    path.write_bytes(b"no gz at all")
    with pytest.raises(InputError, match=rf"{name}, line 1: 'no gz at all' is neither JSON"):
        AmazonReviews(tmp_path, "Beauty")


def test_empty_file_and_unknown_year_are_refused(tmp_path):
    write_2014(tmp_path / "raw", reviews=[])
    with pytest.raises(InputError, match="is empty"):
        AmazonReviews(tmp_path, "Beauty")
    with pytest.raises(InputError, match="year=2023 is unknown; choose from 2014, 2018"):
        AmazonReviews(tmp_path, "Beauty", year=2023)
