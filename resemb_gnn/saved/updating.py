"""A trained model goes on with the rows of a later log."""

import copy
import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from resemb_gnn.data import Features, FeatureTable, Split
from resemb_gnn.data.split import HISTORY, TEST, TRAIN, VALID, split_by_part
from resemb_gnn.datasets import DataSource
from resemb_gnn.errors import InputError, did_you_mean, shown
from resemb_gnn.graph import ContentEncoder
from resemb_gnn.models import CTRModel
from resemb_gnn.models.replace_embedding import replace_features
from resemb_gnn.nn import ResEmbedding
from resemb_gnn.pipeline.facts import describe_data, training_figures, versions
from resemb_gnn.pipeline.task import fit_with
from resemb_gnn.saved.continued_log import ContinuedLog
from resemb_gnn.saved.histories import Histories
from resemb_gnn.settings import FitSettings
from resemb_gnn.settings.embedding import SHARED, split_name
from resemb_gnn.training import Metrics, evaluate
from resemb_gnn.training.checks import embeddings_of
from resemb_gnn.training.threads import limited_threads

if TYPE_CHECKING:
    from resemb_gnn.data import BehaviorLog
    from resemb_gnn.saved.trained_model import TrainedModel

CHANGEABLE = (
    *("lr", "batch_size", "patience", "train_negatives", "ema_decay"),
    *("negatives", "precision", "compile", "threads", "seed"),
)
"""The settings that an update may have other than the training had."""

_HELD_OUT = 10  # a tenth of the new rows validates, and a tenth tests
_DRAWN = 5  # sets these draws apart from others of the same seed


@dataclass(frozen=True)
class _Plan:
    """How the rows of an update are used.

    Args:
        settings: what to train by.
        epochs: passes over the training examples; none for 0.
        replay: old behaviours a new training row.
        progress: show progress bars.
    """

    settings: FitSettings
    epochs: int
    replay: float
    progress: bool


def refuse_what_cannot_be_updated(trained: "TrainedModel") -> None:
    """Refuses a model whose embeddings cannot be carried over to more items and co-visits.

    Raises:
        InputError: naming the embedding and what stands against it.
    """
    settings = trained.settings
    if settings.graph != "covisit":
        raise InputError(
            f"graph={settings.graph}: the control of a comparison cannot be updated, as its graph"
            " holds no co-visits"
        )
    every = {"": (settings.embedding, trained.embedding, trained.graph)}
    for name, one in trained.model.feature_embeddings.items():
        every[f" of {name}"] = (settings.embedded[name], one, trained.feature_graphs[name])
    for what, (name, embedding, graph) in every.items():
        if why := _obstacle(name, embedding, graph):
            raise InputError(f"the embedding {name}{what} cannot be updated: {why}; fit it anew")


def _obstacle(name: str, embedding: torch.nn.Module, graph: Data) -> str | None:
    if not isinstance(embedding, ResEmbedding):
        return "it has no centres that items to come could be placed by"
    if SHARED[split_name(name)[0]].needs_category:
        return "its centres are the items' categories, of which there may be new ones"
    own = embedding.encoder.graph.x
    if own is None or not torch.equal(own.cpu(), graph.x):
        return "its node features are made anew of each graph"
    return None


def update(
    trained: "TrainedModel",
    log: "BehaviorLog",
    *,
    epochs: int,
    replay: float | None,
    name: str,
    progress: bool,
    **changes: Any,
) -> "TrainedModel":
    """What :meth:`~resemb_gnn.TrainedModel.update` says."""
    refuse_what_cannot_be_updated(trained)
    for change in changes:
        if change not in CHANGEABLE:
            raise InputError(
                f"an update cannot change {change!r}, but {shown(list(CHANGEABLE))}"
                f"{did_you_mean(change, CHANGEABLE)}"
            )
    for what, value in (("epochs", epochs), ("replay", replay or 0)):
        if not 0 <= value < math.inf:
            raise InputError(f"{what} must be finite and at least 0, not {value}")
    if replay and log.labels is not None:
        raise InputError(
            f"replay={replay}: the model keeps clicks and no impressions that were not clicked, so"
            " old rows of a log with labels cannot be trained on again"
        )
    if replay is None:
        replay = 1.0 if log.labels is None else 0.0
    own: dict[str, Any] = {"epochs": max(epochs, 1), "device": str(trained.device)}
    settings = replace(trained.settings, quiet=not progress, **own | changes)
    plan = _Plan(settings, epochs, replay, progress)
    joined = ContinuedLog.of(trained, log, name)
    split, part = _split(trained, joined, plan)
    model = _grown(trained, joined, part == TRAIN)
    with limited_threads(settings.threads):
        figures = _train(model, split, plan)
    # Only now, since the rows that test must not be joined to what they are asked about.
    model = _grown(replace(trained, model=model), joined, part != HISTORY, part == TRAIN)
    for each in embeddings_of(model):
        _res(each)._extension = None  # of the graph before: a loaded model has none of it either
    every = joined.log
    source = DataSource(name, f"An update of a model of {trained.facts['data']['name']}.", every)
    facts = describe_data(source, split) | {"log_until": _until(trained, log)}
    return replace(
        trained,
        model=model.eval(),
        item_ids=every.item_ids,
        item_category=every.item_category,
        category_ids=every.category_ids,
        graph=_graph_of(model.embedding, joined.content),
        histories=Histories.of(every, trained.settings.max_history),
        features=joined.features,
        feature_graphs={one: _graph_of(own) for one, own in model.feature_embeddings.items()},
        facts={
            "data": facts | {"updates": 1 + trained.facts["data"].get("updates", 0)},
            "figures": figures,
            "versions": versions(),
        },
    )


def _split(trained: "TrainedModel", joined: ContinuedLog, plan: _Plan) -> tuple[Split, Tensor]:
    """The new rows as examples, the newest tenth to test and the tenth before to validate, and the
    part of each row. What the model knew is history, of which a sample is trained on again.
    """
    log, seed = joined.log, plan.settings.seed
    rng = np.random.default_rng([seed, _DRAWN])
    new = joined.is_new.nonzero().flatten().numpy()
    times = log.times.numpy()[new]
    # Rows of one time have no order: which of them are held out is drawn.
    new = new[np.lexsort((rng.random(new.size), times))]
    part = torch.full((log.num_behaviors,), HISTORY)
    held_out = max(1, new.size // _HELD_OUT)
    for which, rows in (
        (TRAIN, new[: -2 * held_out]),
        (VALID, new[-2 * held_out : -held_out]),
        (TEST, new[-held_out:]),
    ):
        part[torch.from_numpy(rows)] = which
    wanted = round(plan.replay * int((part == TRAIN).sum()))
    old = (~joined.is_new).nonzero().flatten().numpy()
    replayed = rng.permutation(old)[:wanted]
    part[torch.from_numpy(replayed)] = TRAIN
    before = trained.facts["data"]["split"]
    settings: dict[str, Any] = {"by": "time", "negatives": "logged", "num_negatives": None}
    if log.labels is None:
        num = before.get("num_negatives") or 1
        settings |= {"negatives": plan.settings.negatives, "num_negatives": num}
    settings |= {"seed": seed, "replayed": int(replayed.size)}
    split = split_by_part(log, part, settings)
    part[torch.from_numpy(replayed)] = HISTORY  # the graph holds them
    return split, part


def _grown(
    trained: "TrainedModel", joined: ContinuedLog, rows: Tensor, held: Tensor | None = None
) -> CTRModel:
    """A copy of the model over the items, users and features of the joined log, with the co-visits
    of the new rows ``rows``, of which the graphs hold ``held`` already, both bool
    ``[num_behaviors]``.
    """
    window, features = trained.settings.window, joined.features or Features()
    log, at = joined.near(rows, window)
    known = ~joined.is_new if held is None else held | ~joined.is_new
    model = copy.deepcopy(trained.model)
    embedding = _res(model.embedding)
    new = None
    if joined.content is not None and joined.told and embedding.num_embeddings < log.num_items:
        new = joined.content[torch.arange(embedding.num_embeddings, log.num_items)]
    # First those of features' values: the features of all items are over what these hold.
    for one in () if model.known_items is None else model.known_items.with_own:
        values, place = joined.near(rows, window, one.name)
        one.embedding = _res(one.embedding).update(values, window, known=known[place])
    model.replace_embedding(
        embedding.update(log, window, new, known[at]),
        None if model.category is None else log.item_category,
        features.items,
    )
    replace_features(model, replace(features, items=None))
    for each in embeddings_of(model):
        # A residual that was staged is trained: to release it would draw it anew.
        if _res(each).options.staged:
            _res(each).residual.requires_grad_(True)
    return model


def _until(trained: "TrainedModel", log: "BehaviorLog") -> float:
    """Time of the last row that the model has been trained on."""
    last: float = log.times.max().item()
    before = trained.facts["data"].get("log_until")  # older models do not tell it
    return last if before is None else max(before, last)


def _res(embedding: torch.nn.Module) -> ResEmbedding:
    assert isinstance(embedding, ResEmbedding)  # others were refused
    return embedding


def _train(model: CTRModel, split: Split, plan: _Plan) -> dict[str, Any]:
    """Trains the model and returns its figures; those of the test before it too."""
    settings = plan.settings

    def score(name: str) -> dict[str, float]:
        examples = getattr(split, name).to(settings.device)
        found: Metrics = evaluate(model, examples, max_history=settings.max_history)
        return asdict(found)

    untrained = score("test")
    if plan.epochs:
        figures = training_figures(fit_with(settings, model, split, seed=settings.seed))
        del figures["seconds_per_epoch"]  # of the machine's: equal models have equal facts
    else:
        figures = {"test": untrained, "valid": score("valid"), "train": score("train_sample")}
        figures["gap"] = untrained["logloss"] - figures["train"]["logloss"]
        figures |= {"best_epoch": 0, "epochs": 0}
        figures["num_parameters"] = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return figures | {"untrained": untrained}


def _graph_of(embedding: torch.nn.Module, content: FeatureTable | None = None) -> Data:
    """The graph of an updated embedding, on the CPU, as a saved model has it. Features of the items
    that it holds are known ones' as the log has them, too.
    """
    graph = _res(embedding).encoder.graph
    if content is not None:
        graph.content = ContentEncoder(content, state=graph.content.state())
    return copy.copy(graph).cpu()
