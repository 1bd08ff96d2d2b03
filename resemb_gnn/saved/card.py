"""The model card."""

from typing import TYPE_CHECKING, Any

from resemb_gnn.io.text_tables import escape_markdown, markdown_table, one_line, pairs
from resemb_gnn.pipeline.facts import shown_figure, why_undefined
from resemb_gnn.pipeline.feature_card import features_section

if TYPE_CHECKING:
    from resemb_gnn.saved.trained_model import TrainedModel


def model_card(trained: "TrainedModel") -> str:
    """What the model is, what it was trained on and with, and how well it does, in Markdown."""
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
    return "\n\n".join(parts) + "\n"


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
