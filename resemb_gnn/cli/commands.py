"""The commands: their settings, which are read and checked before anything else is imported, and
where the thin function stands that each one runs over them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from resemb_gnn.cli.command_settings import (
    EvaluateSettings,
    ExportSettings,
    GraphCommandSettings,
    PredictSettings,
    RecommendSettings,
    SimilarSettings,
    UpdateSettings,
)
from resemb_gnn.settings import CompareSettings, FitSettings


@dataclass(frozen=True)
class Command:
    """A command of the program.

    Args:
        place: the function that does it, given its settings, as ``"module:name"``: it is imported
            when it runs, with PyTorch and all that takes seconds.
        settings: the dataclass that flags and settings file are read into.
        help: a line on what it does.
        description: two.
        positional: the setting that is given by its place.
        needs: settings that must be given although they have a default in Python, and what is said
            if one is not.
    """

    place: str
    settings: type
    help: str
    description: str
    positional: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)


# Whoever forgets the flag would train on the demo, and take its figures for those of their log.
_NEEDS_DATA = {
    "data": "name your log, as in --data log.csv --user user_id --item item_id --time ts, or try"
    " the program on the embedded demo by --data complete-journey"
}

COMMANDS = {
    "fit": Command(
        "resemb_gnn.cli.model_commands:run_fit",
        FitSettings,
        "train a model on a log and save it",
        "Trains one model on the training part of a log, chooses its epoch on the validation part,"
        " scores the test part and saves the model as a folder.",
        needs=_NEEDS_DATA,
    ),
    "evaluate": Command(
        "resemb_gnn.cli.evaluate:run_evaluate",
        EvaluateSettings,
        "score a saved model on test examples or a later log",
        "Scores a saved model on the test part of the data that it was trained on, or on every row"
        " of a later log.",
    ),
    "predict": Command(
        "resemb_gnn.cli.predict:run_predict",
        PredictSettings,
        "click probabilities of users and candidate items",
        "Reads a file with a user and a candidate item a row and writes it with the probability"
        " that the user acts on the item next.",
    ),
    "recommend": Command(
        "resemb_gnn.cli.recommend:run_recommend",
        RecommendSettings,
        "the best items for many users",
        "Writes the items that the model scores highest for each user, of those that the user has"
        " not acted on.",
    ),
    "update": Command(
        "resemb_gnn.cli.update:run_update",
        UpdateSettings,
        "go on with a saved model on the rows since",
        "Takes the users, items and co-visits of a later log into a saved model, trains it on the"
        " log's rows, scores the newest of them and saves it as another folder.",
    ),
    "similar": Command(
        "resemb_gnn.cli.model_commands:run_similar",
        SimilarSettings,
        "items nearest to one",
        "Prints the items whose embeddings are nearest to an item's, by cosine.",
        positional="item_id",
    ),
    "export": Command(
        "resemb_gnn.cli.model_commands:run_export",
        ExportSettings,
        "item vectors, index and scorer for serving",
        "Writes the item vectors as Parquet with a nearest-neighbour index, and the scorer as a"
        " torch.export program and as ONNX. Needs: pip install 'resemb-gnn[serve]'.",
    ),
    "compare": Command(
        "resemb_gnn.cli.compare:run_compare",
        CompareSettings,
        "train embeddings side by side and report",
        "Trains a click model with each embedding over several seeds on the same examples, and"
        " writes results.json, results.md and report.html.",
        needs=_NEEDS_DATA,
    ),
    "graph": Command(
        "resemb_gnn.cli.graph:run_graph",
        GraphCommandSettings,
        "build the co-visit graph and describe it",
        "Builds the co-visit graph of the training behaviours and prints its size, degrees,"
        " weights and components; --out writes its edges as Parquet.",
        needs=_NEEDS_DATA,
    ),
}
