"""A model meets a log."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resemb_gnn.data import BehaviorLog, Examples, NegativeSampler
from resemb_gnn.data.negatives import with_negatives
from resemb_gnn.errors import InputError
from resemb_gnn.pipeline.facts import feature_fingerprints, fingerprint
from resemb_gnn.saved.extended import features_over, knowing
from resemb_gnn.saved.ids import num_not_later, of_known_items
from resemb_gnn.saved.trained_model import TrainedModel
from resemb_gnn.settings import FitSettings
from resemb_gnn.settings.setting import check_values
from resemb_gnn.training import Metrics, predict
from resemb_gnn.training.evaluation import metrics_of


def is_training_data(trained: TrainedModel, log: BehaviorLog) -> bool:
    """Whether the model was trained on this very log: its items, behaviours and times, and what is
    read of features.
    """
    data, found = trained.facts["data"], feature_fingerprints(log)
    return (
        log.item_ids.equals(trained.item_ids)
        and fingerprint(log) == data["fingerprint"]
        and (bool(trained.context_names) <= ("context" in found))
        and found.items() <= data.get("feature_fingerprints", {}).items()
    )


@dataclass(frozen=True, eq=False)
class LaterLog:
    """The rows of a later log as examples of a model.

    Args:
        trained: the model, over the users of both.
        examples: one a row whose item the model knows, and after it the drawn negatives, if the log
            has no labels.
        new_user: which of them are of users that the model does not know, bool ``[num_examples]``.
        num_rows: rows of the log.
        num_scored: rows whose item the model knows.
        num_of_new_users: rows among these of users that it does not know.
        num_early: rows that are not later than the training's log, which the model may have seen.
        split: how the examples were made, as a :class:`~resemb_gnn.Split` has it.
    """

    trained: TrainedModel
    examples: Examples
    new_user: Tensor
    num_rows: int
    num_scored: int
    num_of_new_users: int
    num_early: int
    split: dict[str, Any]

    @classmethod
    def of(
        cls,
        trained: TrainedModel,
        log: BehaviorLog,
        *,
        negatives: str | None = None,
        name: str = "the log",
    ) -> "LaterLog":
        """Every row of a log whose item the model knows.

        The history of a row is what the model has of its user, and behind it the positive rows of
        the log that are of strictly earlier time. A user whom the model does not know has the
        latter alone. Of a log without labels every row is a positive and has as many drawn
        negatives as in training, from the training's seed: never an item of the history.

        Categories are the model's own. Features of items and users are the log's where it has a
        table of them, else the model's own; a user of whom neither knows anything has no values.

        Args:
            trained: the model.
            log: the log, in numbers of its own.
            negatives: ``"uniform"`` or ``"popularity"``; by default as in training.
            name: how messages name the log.

        Raises:
            InputError: if no row is left, no negative can be drawn, the ids of all users are of
                another type, or the log lacks a feature of the model or has it of another kind.
        """
        negatives = trained.settings.negatives if negatives is None else negatives
        check_values(FitSettings, negatives=negatives)
        known = of_known_items(trained.item_ids, log)
        if not known.num_behaviors:
            raise InputError(f"{name} holds no item that the model knows")
        histories, number_of_user = trained.histories.continued(known)
        user = number_of_user[known.users]
        features = features_over(trained, log, trained.item_ids, histories.user_ids, known, name)
        label = torch.ones(len(user)) if known.labels is None else known.labels
        examples = replace(
            histories.examples(user, known.items, known.times),
            label=label,
            row=torch.arange(len(user)),
            context=None if features is None else features.context,
        )
        training = trained.facts["data"]["split"]
        split: dict[str, Any] = {"by": "later", "negatives": "logged", "num_negatives": None}
        split["seed"] = seed = training.get("seed") or 0
        if known.labels is None:
            num = training.get("num_negatives") or 1
            split |= {"negatives": negatives, "num_negatives": num}
            weight = torch.ones_like(trained.graph.count, dtype=torch.long)
            if negatives == "popularity":
                weight = trained.graph.count.long()
            sampler = NegativeSampler(histories.items, histories.users, weight)
            examples = with_negatives(examples, sampler, num, np.random.default_rng(seed))
        first_new = len(trained.histories.user_ids)
        return cls(
            trained=knowing(trained, features),
            examples=examples,
            new_user=examples.user >= first_new,
            num_rows=log.num_behaviors,
            num_scored=known.num_behaviors,
            num_of_new_users=int((user >= first_new).sum()),
            num_early=num_not_later(trained.facts, log),
            split=split,
        )

    def metrics(self, *, progress: bool = False) -> dict[str, Metrics]:
        """AUC, GAUC and log loss of ``"all"`` examples, and of those of ``"known users"``
        and ``"new users"`` if there are both.
        """
        trained, examples = self.trained, self.examples
        logit = predict(
            trained.model,
            examples.to(trained.device),
            max_history=trained.settings.max_history,
            progress=progress,
        ).cpu()
        found = {"all": metrics_of(logit, examples)}
        if 0 < int(self.new_user.sum()) < len(examples):
            for name, part in (("known users", ~self.new_user), ("new users", self.new_user)):
                found[name] = metrics_of(logit[part], examples[part])
        return found
