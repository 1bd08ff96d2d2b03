"""The files of a saved model."""

from pathlib import Path

from resemb_gnn.io.outputs import new_folder

FORMAT, SCHEMA = "resemb-gnn model", 1
SETTINGS, WEIGHTS, CARD = "settings.json", "weights.safetensors", "README.md"
ITEMS, CENTERS, GRAPH, HISTORIES = (
    "items.parquet",
    "centers.parquet",
    "graph.parquet",
    "histories.parquet",
)
CATEGORIES = "categories.parquet"
CONTEXT, VOCABULARIES = "context.parquet", "vocabularies.parquet"
VALUES, VALUE_GRAPHS = "values.parquet", "value_graphs.parquet"
CONTENT = "content.safetensors"
READ = (  # by load
    SETTINGS,
    WEIGHTS,
    ITEMS,
    CATEGORIES,
    GRAPH,
    HISTORIES,
    CONTEXT,
    VOCABULARIES,
    VALUES,
    VALUE_GRAPHS,
    CONTENT,
)
DIGESTS = "model.sha256"
FILES = (*READ, CARD, CENTERS, DIGESTS)


def model_place(folder: str | Path, replace: bool) -> Path:
    """Where a model is to be saved: through links, with ``~`` expanded.

    Raises:
        InputError: if nothing can be written there, the folder holds anything but a saved model,
            or one and ``replace`` is not set.
    """
    return new_folder(folder, replace, needed=(SETTINGS, WEIGHTS), files=FILES, what="saved model")
