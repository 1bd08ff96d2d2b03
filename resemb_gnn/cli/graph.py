"""``resemb-gnn graph``: the co-visit graph, described and written."""

import polars as pl
from torch_geometric.data import Data

from resemb_gnn.cli.command_settings import GraphCommandSettings
from resemb_gnn.cli.outputs import new_table
from resemb_gnn.graph import QUANTILES, GraphSummary, edge_list, summarize_graph
from resemb_gnn.io.parts import shown_paths
from resemb_gnn.io.tables import write_table
from resemb_gnn.io.text_tables import aligned
from resemb_gnn.pipeline.progress import Stages
from resemb_gnn.pipeline.task import covisits, make_split, read_source


def run_graph(settings: GraphCommandSettings) -> None:
    """Builds the graph of the training behaviours, prints what it is like, writes it if asked."""
    out = None if settings.out is None else new_table(settings.out, settings.replace)
    with Stages(4 if out is None else 5, settings.quiet) as stages:
        source = stages.run(f"reading {shown_paths(settings.data)}", lambda: read_source(settings))
        split = stages.run("splitting", lambda: make_split(source, settings))
        graph = stages.run("joining items", lambda: covisits(source, split, settings))
        found = stages.run("describing", lambda: summarize_graph(graph))
        if out is not None:
            stages.run(
                f"writing {settings.out}",
                lambda: write_table(_edges(graph, source.log.item_ids), out),
            )
    print(source)
    print(f"Graph of the {split.history.num_behaviors:,} training behaviours that are positive\n")
    print("\n\n".join(_tables(found, source.log.item_ids, settings.most)))
    if settings.out is not None:
        print(f"\n{settings.out} holds the {found.num_edges:,} edges.")


def _tables(found: GraphSummary, item_ids: pl.Series, most: int) -> list[str]:
    size, largest = found.num_nodes, found.largest_component
    sizes = [
        ["", "number"],
        ["items (nodes)", f"{size:,}"],
        ["joined pairs (edges)", f"{found.num_edges:,}"],
        ["items joined to none", f"{found.num_isolated:,}"],
        ["connected components", f"{found.num_components:,}"],
        ["items of the largest", f"{largest:,} ({largest / size:.1%})"],
    ]
    quantiles = [["quantile", *(_quantile_name(q) for q in QUANTILES)]]
    quantiles.append(["neighbours of an item", *map(_number, found.degree_quantiles)])
    if found.weight_quantiles:
        quantiles.append(["co-visits of a pair", *map(_number, found.weight_quantiles)])
    order = found.degree.argsort(descending=True, stable=True)[:most].tolist()
    joined = [["most joined items", "neighbours", "co-visits"]]
    joined += [
        [str(item_ids[i]), f"{int(found.degree[i]):,}", f"{float(found.strength[i]):,.0f}"]
        for i in order
    ]
    return [aligned(rows) for rows in (sizes, quantiles, joined)]


def _edges(graph: Data, item_ids: pl.Series) -> pl.DataFrame:
    source, target, weight = edge_list(graph)
    return pl.DataFrame(
        {
            "item": item_ids.gather(source.numpy()),
            "other": item_ids.gather(target.numpy()),
            "weight": weight.numpy(),
        }
    )


def _quantile_name(quantile: float) -> str:
    return {0.0: "lowest", 0.5: "median", 1.0: "highest"}.get(quantile, f"{quantile:.0%}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
