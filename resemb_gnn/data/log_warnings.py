"""Warnings of what a log can be read with, but hardly means."""

import warnings

import numpy as np
import polars as pl
from torch import Tensor

from resemb_gnn.data.feature import Feature
from resemb_gnn.data.features import Features

_TELLING = 0.99  # AUC of a feature alone, from which it is the label in disguise
_EVIDENCE = 10  # clicks, and rows without, below which an AUC tells of chance
_LEVEL = 4  # of the caller of BehaviorLog.from_frame, to whom a warning is shown


def warn_of_disguised_labels(
    features: Features, labels: Tensor, users: Tensor, items: Tensor
) -> None:
    """Warns of features that tell the label by themselves: what is known only afterwards."""
    label = labels.numpy()
    # The click rate of a value is learnt on one half and looked at on the other, since within one
    # half each rare value would seem to know its rows.
    known = np.random.default_rng(0).random(len(label)) < 0.5
    rows = {"items": items, "users": users, "context": None}
    for place, table in features.tables():
        row = rows[place]
        for feature in table:
            if _auc_alone(feature, row, label, known) >= _TELLING:
                warnings.warn(
                    f"the feature {feature.name!r} of {place} tells the label almost by itself (AUC"
                    f" of {_TELLING} or more): is it known before the click?",
                    stacklevel=_LEVEL,
                )


def _auc_alone(
    feature: Feature, row: Tensor | None, label: "np.ndarray", known: "np.ndarray"
) -> float:
    """How well the feature alone, or whether it is missing, sorts clicks from the rest."""
    missing = feature.missing() if row is None else feature.missing()[row]
    found = _auc(missing.numpy().astype(np.float64), label)
    if feature.kind in ("category", "numeric"):
        values = (feature.values if row is None else feature.values[row]).numpy()
        if feature.kind == "category":
            shown = np.bincount(values[known], minlength=feature.num_codes)
            clicked = np.bincount(values[known], label[known], minlength=feature.num_codes)
            rate = (clicked + label.mean()) / (shown + 1)
            values, label = rate[values[~known]], label[~known]
        there = ~np.isnan(values)
        found = max(found, _auc(values[there], label[there]))
    return found


def _auc(score: "np.ndarray", label: "np.ndarray") -> float:
    """AUC of a score or of its negative, whichever is larger; 0.5 of too few rows."""
    clicked = label > 0
    positives, negatives = int(clicked.sum()), int((~clicked).sum())
    if min(positives, negatives) < _EVIDENCE:
        return 0.5
    ranks = pl.Series(score).rank("average").to_numpy()
    area = (ranks[clicked].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return float(max(area, 1 - area))


def warn_of_varying_category(items: pl.Series, codes: pl.Series, name: str) -> None:
    """Warns of a category that differs within an item, of which its most frequent one is taken."""
    pairs = pl.DataFrame({"item": items, "category": codes})
    several = pairs.group_by("item").agg(pl.col("category").n_unique())["category"] > 1
    count = int(several.sum())
    if count:
        warnings.warn(
            f"the category {name!r} differs within {count} of {len(several)} items"
            f" ({count / len(several):.1%}), and each gets its most frequent one: if it tells of"
            f" the row, such as a position, name it as context (context=[{name!r}],"
            f" --context {name})",
            stacklevel=_LEVEL,
        )
