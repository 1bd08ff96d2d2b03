"""The files of a saved model."""

from pathlib import Path

from resemb_gnn.errors import InputError

FORMAT, SCHEMA = "resemb-gnn model", 1
SETTINGS, WEIGHTS, CARD = "settings.json", "weights.safetensors", "README.md"
ITEMS, CENTERS, GRAPH, HISTORIES = (
    "items.parquet",
    "centers.parquet",
    "graph.parquet",
    "histories.parquet",
)
CATEGORIES = "categories.parquet"
READ = (SETTINGS, WEIGHTS, ITEMS, CATEGORIES, GRAPH, HISTORIES)  # by load
DIGESTS = "model.sha256"


def refuse_taken(folder: str | Path, replace: bool) -> None:
    """Refuses to write over anything but a saved model, and over that unless ``replace``.

    Raises:
        InputError: if the folder holds something else, or ``replace`` is not set.
    """
    folder = Path(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / SETTINGS).is_file() or not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder} exists and is no saved model: choose another place")
    if not replace:
        raise InputError(
            f"{folder} holds a model: add --replace (replace=True) or choose another place"
        )
