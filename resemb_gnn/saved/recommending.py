"""The best items of a trained model for many users."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from resemb_gnn.data import BehaviorLog, FeatureTable
from resemb_gnn.errors import InputError, RowError, did_you_mean, shown
from resemb_gnn.io.ids import id_column
from resemb_gnn.io.streams import progress_bar
from resemb_gnn.nn.evaluating import evaluating
from resemb_gnn.saved.extended import with_history
from resemb_gnn.saved.ids import number_ids
from resemb_gnn.saved.predicting import context_of
from resemb_gnn.serving.anchors import AnchorScores
from resemb_gnn.training.catalogue import Catalogue

if TYPE_CHECKING:
    from resemb_gnn.saved.trained_model import TrainedModel

SAMPLED = 128  # users whose scores of all candidates tell what anchors stand for


def recommend(
    trained: "TrainedModel",
    users: pl.Series | list[Any] | None,
    k: int,
    *,
    candidates: pl.Series | list[Any] | None,
    include_seen: bool,
    retrieve: int | None,
    context: Mapping[str, Any] | None,
    history: BehaviorLog | None,
    progress: bool,
) -> pl.DataFrame:
    """What :meth:`~resemb_gnn.TrainedModel.recommend` says."""
    check_counts(k, retrieve)
    row = context_row(trained, context)
    if users is not None:
        users = id_column(users, "user")
    if history is not None:
        trained = with_history(trained, history, users)
    return best_items(
        trained,
        known_numbers(users, "user", trained.histories.user_ids),
        known_numbers(candidates, "item", trained.item_ids),
        k,
        include_seen=include_seen,
        retrieve=retrieve,
        context=row,
        progress=progress,
    )


def check_counts(k: int, retrieve: int | None) -> None:
    """Refuses to look for less than one item, or for more than are to be scored.

    Raises:
        InputError: naming the number.
    """
    if k < 1:
        raise InputError(f"k must be at least 1, not {k}")
    if retrieve is not None and retrieve < k:
        raise InputError(f"retrieve={retrieve}: of so few candidates there are no {k} best")


@torch.no_grad()
def best_items(
    trained: "TrainedModel",
    user: Tensor,
    candidates: Tensor,
    k: int,
    *,
    include_seen: bool,
    retrieve: int | None,
    context: FeatureTable | None,
    progress: bool,
) -> pl.DataFrame:
    """What :func:`recommend` gives, of users and candidates by their numbers in the model, int64
    ``[num_users]`` and ``[num_candidates]``, in the context of :func:`context_row`.
    """
    histories, device = trained.histories, trained.device
    ids = candidates.sort().values.to(device)
    best, logits = [], []
    bars = progress_bar(total=user.numel(), desc="scoring", unit="user", disable=not progress)
    with evaluating(trained.model), bars as bar:
        scores = _Scores(trained, ids, context)
        anchors = None
        if retrieve is not None and retrieve < ids.numel():
            anchors = AnchorScores(scores.of_sample())
        for number in user.tolist():
            seen = None if include_seen else histories.of_user(number).to(device)
            if anchors is None:
                some, logit = ids, scores.of(number, ids)
            else:
                rough = anchors.estimate(scores.of(number, ids[anchors.anchors]))
                some = ids[_without(rough, ids, seen).topk(retrieve or k).indices.sort().values]
                logit = scores.of(number, some)
            place = best_places(_without(logit, some, seen), k)
            best.append(some[place])
            logits.append(logit[place])
            bar.update()
    counts = np.array([one.numel() for one in best], dtype=np.int64)
    return pl.DataFrame(
        {
            "user": histories.user_ids.gather(user.numpy().repeat(counts)),
            "rank": np.concatenate([np.arange(1, count + 1) for count in counts.tolist()]),
            "item": trained.item_ids.gather(torch.cat(best).cpu().numpy()),
            "score": torch.cat(logits).sigmoid().cpu().numpy(),
        }
    )


def best_places(logit: Tensor, k: int) -> Tensor:
    """Places of the ``k`` highest of ``[n]``, highest first and of equal ones the earlier first;
    those that are left out, at minus infinity, are none.
    """
    lowest = logit.topk(min(k, logit.numel())).values[-1]
    among = ((logit >= lowest) & (logit > -torch.inf)).nonzero().flatten()
    return among[logit[among].sort(descending=True, stable=True).indices[:k]]


class _Scores:
    """Logits of candidates for one user after the other, in one context."""

    def __init__(self, trained: "TrainedModel", ids: Tensor, context: FeatureTable | None) -> None:
        every = torch.arange(len(trained.histories.user_ids))
        examples = trained.histories.examples(every, torch.zeros_like(every))
        if context is not None:
            examples = replace(examples, row=torch.zeros_like(every), context=context)
        self.examples = examples.to(trained.device)
        self.max_history = trained.settings.max_history
        self.catalogue = Catalogue(trained.model)
        self.ids = ids

    def of(self, user: int, ids: Tensor) -> Tensor:
        """Logits of items, int64 ``[n]``, for a user.

        Raises:
            InputError: if one is no number.
        """
        which = torch.tensor([user], device=ids.device)
        logit = self.catalogue.logits(self.examples.batch(which, self.max_history), ids)[0]
        if not bool(logit.isfinite().all()):
            raise InputError("a score is not a number: nothing can be ranked by it")
        return logit

    def of_sample(self) -> Tensor:
        """Logits of all candidates for users drawn from all that the model knows."""
        every = len(self.examples)
        drawn = np.random.default_rng(0).choice(every, min(SAMPLED, every), replace=False)
        return torch.stack([self.of(user, self.ids) for user in drawn.tolist()])


def known_numbers(ids: pl.Series | list[Any] | None, name: str, vocabulary: pl.Series) -> Tensor:
    """Numbers of ids, each once in the order of the first; all that there are if ``None``.

    Raises:
        InputError: if there are none, or one is missing or unknown; it names the first of these.
    """
    if ids is None:
        return torch.arange(len(vocabulary))
    ids = id_column(ids, name)
    if not len(ids):
        raise InputError(f"there is no {name} to recommend{' for' * (name == 'user')}")
    number = number_ids(ids, vocabulary, "skip")
    strange = ids.filter(number.is_null()).unique(maintain_order=True)
    if len(strange):
        raise RowError(
            f"column {ids.name!r}",
            number.is_null().arg_true()[0],
            f"{name}s that the model does not know: {shown(strange.head(5).to_list())}"
            f" ({len(strange)} of {ids.n_unique()})",
        )
    return torch.from_numpy(number.unique(maintain_order=True).to_numpy().astype(np.int64))


def context_row(trained: "TrainedModel", values: Mapping[str, Any] | None) -> FeatureTable | None:
    """A value for each context feature, as a table of one row; ``None`` if there are none.

    Raises:
        InputError: if one is not given, unknown or of another kind than in training.
    """
    names, values = trained.context_names, dict(values or {})
    for name in values:
        if name not in names:
            raise InputError(
                f"{shown(name)} is no context feature of the model, which has"
                f" {shown(names) if names else 'none'}{did_you_mean(name, names)}"
            )
    lacking = [name for name in names if name not in values]
    if lacking:
        raise InputError(
            f"the model was trained with the context {shown(names)}, which is not known of what is"
            f" yet to be shown: give a value of {shown(lacking)} that is to hold for all (context,"
            " or --context-values NAME=VALUE)"
        )
    if not names:
        return None
    frame = pl.DataFrame({name: [value] for name, value in values.items()}, strict=False)
    return context_of(trained, frame, 1)


def _without(scores: Tensor, ids: Tensor, seen: Tensor | None) -> Tensor:
    """The scores with those of items that were seen at minus infinity."""
    return scores if seen is None else scores.masked_fill(torch.isin(ids, seen), -torch.inf)
