"""A logistic regression on counts alone, for logs that time splits: what is bought again and again,
and of late, may say more than any embedding.

Of each candidate: how often it was acted on in all of training and in its last tenth and twentieth;
how often its category was, and how often by the user before. The weights are fitted on the training
examples of training's last tenth, by counts of what was before it, so that they are learnt as they
are used.
"""

from collections.abc import Callable

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from resemb_gnn.data import Examples
from resemb_gnn.nn.layers.segment import segment_index
from resemb_gnn.pipeline.task import Task

SHARES = (1.0, 0.1, 0.05)  # of the behaviours counted, the latest
_ROWS = 1024  # histories that are counted at once


def counts_of(items: Tensor, times: Tensor, num_items: int) -> Tensor:
    """How often each item stands among the latest behaviours, for each of ``SHARES``, int64
    ``[num_items, 3]``.
    """
    found = []
    for share in SHARES:
        late = times >= times.double().quantile(1 - share)
        found.append(items[late].bincount(minlength=num_items))
    return torch.stack(found, dim=1)


def scores_of(part: Examples, counts: Tensor, category: Tensor | None) -> Tensor:
    """The logarithms of the counts of each candidate, ``[num_examples * candidates, 5]``; of three
    where items have no category.
    """
    rows = []
    if category is not None:
        size = int(category.max()) + 1
        of_category = torch.zeros(size, dtype=torch.long).index_add_(0, category, counts[:, 0])
    for index in torch.arange(len(part)).split(_ROWS):
        batch = part.batch(index)
        found = [counts[batch.target]]
        if category is not None:
            owner = segment_index(batch.ptr, batch.history.numel())
            own = (owner * size + category[batch.history]).bincount(minlength=len(index) * size)
            wanted = category[batch.target]
            place = torch.arange(len(index)).repeat_interleave(batch.candidates) * size + wanted
            found += [of_category[wanted, None], own[place, None]]
        rows.append(torch.cat(found, dim=1).double().log1p())
    return torch.cat(rows)


def fit_counts(task: Task, train: Examples) -> Callable[[Examples, bool], Tensor]:
    """What scores examples, ``[num_examples * candidates]``, by the counts of training or, if it is
    told to, of validation too.

    Args:
        task: the log and its split by time.
        train: its training examples, with their negatives.
    """
    log, history = task.source.log, task.split.history
    size, category = log.num_items, log.item_category
    since = history.times.double().quantile(0.9)
    before = history.times < since
    assert train.row is not None
    late = train[log.times[train.row] >= since]
    known = scores_of(late, counts_of(history.items[before], history.times[before], size), category)
    label = torch.zeros(len(late), late.candidates)
    label[:, 0] = late.label
    model = LogisticRegression(max_iter=1000).fit(known.numpy(), label.flatten().numpy())
    until_test = log.times < task.split.settings["test_from"]
    counts = {
        False: counts_of(history.items, history.times, size),
        True: counts_of(log.items[until_test], log.times[until_test], size),
    }

    def score(part: Examples, with_validation: bool) -> Tensor:
        rows = scores_of(part, counts[with_validation], category)
        return torch.from_numpy(model.decision_function(rows.numpy()))

    return score
