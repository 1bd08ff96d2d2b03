"""The model card."""

from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import yaml

from resemb_gnn.io.text_tables import escape_markdown, markdown_table, one_line, pairs
from resemb_gnn.pipeline.facts import shown_figure, why_undefined
from resemb_gnn.pipeline.feature_card import features_section

if TYPE_CHECKING:
    from resemb_gnn.saved.trained_model import TrainedModel


_METRICS = {"auc": "AUC", "gauc": "GAUC", "logloss": "log loss"}


def model_card(trained: "TrainedModel") -> str:
    """What the model is, what it was trained on and with, and how well it does, in Markdown, with
    the block of YAML before it by which a hub of models lists it.
    """
    data, figures = trained.facts["data"], trained.facts["figures"]
    settings = trained.settings
    rows = [
        [name, *(shown_figure(figures[name][key]) for key in ("auc", "gauc", "logloss"))]
        for name in ("test", "valid", "train")
    ]
    left = ("name", "description", "features", "feature_fingerprints")
    split = {key: value for key, value in data.items() if key not in left}
    parts = [
        f"# {settings.embedding} in {type(trained.model).__name__}, trained on"
        f" {escape_markdown(one_line(data['name']))}",
        "A model of clicks on items by users' behaviours, trained and saved by resemb_gnn."
        " It gives the probability that a user acts on a candidate item next.",
        "## Figures",
        markdown_table(["examples", "AUC", "GAUC", "log loss"], rows),
        *why_undefined(figures[name] for name in ("test", "valid", "train")),
        _how_trained(settings.test, figures),
        f"{figures['num_parameters']:,} learnable numbers.",
        "## Data",
        escape_markdown(str(data["description"])),
        markdown_table(["", "value"], pairs(split)),
        *(features_section(data) if settings.use_features else []),
        "## Settings",
        markdown_table(["setting", "value"], pairs(settings.identity())),
        "## Use",
        '```python\nimport resemb_gnn as rg\n\nmodel = rg.load("FOLDER")\n'
        "model.predict([user_id], [item_id])   # click probabilities\n"
        "model.similar(item_id)                # nearest items\n```",
        *_context_note(trained.context_names),
        "`histories.parquet` holds the users' latest behaviours under their own ids: treat the"
        " folder as you treat the log.",
        "## Limits",
        "Probabilities follow the share of negatives that the model was trained with and are no"
        " click-through rates unless the log held real impressions. Figures hold for one seed and"
        " for data like these.",
        "## Versions",
        markdown_table(["package", "version"], pairs(trained.facts["versions"])),
    ]
    return _metadata(trained) + "\n\n".join(parts) + "\n"


def _metadata(trained: "TrainedModel") -> str:
    """The block before a card, as huggingface.co reads it. Under which licence a model of their
    log may be used is for whoever trained it to say.
    """
    name = f"{trained.settings.embedding} in {type(trained.model).__name__}"
    data = one_line(str(trained.facts["data"]["name"]))
    figures = trained.facts["figures"].get("test") or {}  # none of a model that every row trained
    metrics = [
        {"type": key, "name": f"test {title}", "value": figures[key]}
        for key, title in _METRICS.items()
        if isfinite(
            figures.get(key, nan)
        )  # an undefined one is left out: YAML has no figure for it
    ]
    task = {"type": "click-through-rate-prediction", "name": "Click-through-rate prediction"}
    result = {"task": task, "dataset": {"type": data, "name": data}, "metrics": metrics}
    block = {
        "library_name": "resemb-gnn",
        "pipeline_tag": "graph-ml",
        "tags": [
            *("recommendation", "click-through-rate", "graph-neural-networks", "item-embeddings"),
            trained.settings.model,
        ],
        "model-index": [{"name": name, "results": [result]}],
    }
    text = yaml.safe_dump(block, sort_keys=False, allow_unicode=False, width=10_000)
    return f"---\n{text}---\n\n"


def _how_trained(test: bool, figures: dict[str, Any]) -> str:
    if not test:
        return f"Every row trained, for {figures['epochs']} epochs: none was left to score."
    return (
        f"Epoch {figures['best_epoch']} of {figures['epochs']}, chosen on validation; test was"
        f" scored once, at the end. Generalisation gap: {shown_figure(figures['gap'])} nats."
    )


def _context_note(names: list[str]) -> list[str]:
    if not names:
        return []
    columns = escape_markdown(", ".join(map(one_line, names)))
    return [f"`predict` needs a frame as `context`, a row a pair, with the columns {columns}."]
