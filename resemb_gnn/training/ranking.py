"""How high a model ranks the item that a user went on to."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from resemb_gnn.data import Examples
from resemb_gnn.errors import InputError
from resemb_gnn.io.streams import progress_bar
from resemb_gnn.models import CTRModel
from resemb_gnn.nn.evaluating import evaluating
from resemb_gnn.training.catalogue import Catalogue
from resemb_gnn.training.evaluation import predict


@dataclass(frozen=True)
class Ranking:
    r"""Means over examples of which one item each is the right one, at rank :math:`r` from 1.

    .. math::
        \mathrm{HR@}k = [r \le k], \qquad
        \mathrm{NDCG@}k = \frac{[r \le k]}{\log_2(r + 1)}, \qquad
        \mathrm{MRR} = \frac{1}{r}

    as S3-Rec and the sequence recommenders it compares with have them (Zhou et al., CIKM 2020).
    """

    hr_1: float
    hr_5: float
    hr_10: float
    ndcg_5: float
    ndcg_10: float
    mrr: float

    @classmethod
    def of(cls, rank: Tensor) -> "Ranking":
        """The means of given ranks, from 1, ``[n]``.

        Examples:
            >>> import torch
            >>> Ranking.of(torch.tensor([1, 2, 20])).hr_1
            0.3333333333333333
        """
        rank = rank.double()
        gain = 1 / (rank + 1).log2()
        hits = {f"hr_{k}": float((rank <= k).double().mean()) for k in (1, 5, 10)}
        gains = {f"ndcg_{k}": float(torch.where(rank <= k, gain, 0.0).mean()) for k in (5, 10)}
        return cls(**hits, **gains, mrr=float((1 / rank).mean()))


def evaluate_ranking(
    model: nn.Module,
    examples: Examples,
    *,
    max_history: int | None = 50,
    progress: bool = False,
) -> Ranking:
    """How high the model ranks each example's target among its negatives.

    An item that scores as the target does counts as half above it.

    Args:
        model: the model.
        examples: examples with negatives, as :meth:`~resemb_gnn.Split.against` draws them.
        max_history: only so many most recent behaviours of a history are used.
        progress: show a progress bar.

    Raises:
        InputError: if the examples have no negatives, or a score is not a number.
    """
    if examples.negatives is None:
        raise InputError("a ranking needs examples with negatives, as split.against draws them")
    logit = predict(model, examples, max_history=max_history, progress=progress)
    return Ranking.of(rank_of_first(logit.view(len(examples), -1)))


@torch.no_grad()
def rank_catalogue(
    model: CTRModel,
    examples: Examples,
    touched: tuple[Tensor, Tensor],
    *,
    max_history: int | None = 50,
    progress: bool = False,
) -> Tensor:
    """Rank of each example's target among all items, but for others that its user acted on.

    Items are embedded once, and a history is read once for all of them. An item that scores as the
    target does counts as half above it.

    Args:
        model: the model; it knows its number of items.
        examples: the examples.
        touched: users and items of the behaviours that are known, int64 ``[n]`` each.
        max_history: only so many most recent behaviours of a history are used.
        progress: show a progress bar.

    Returns:
        Ranks from 1, float64 ``[num_examples]``.

    Raises:
        InputError: if the embedding does not tell its number of items, or a score is not a number.
    """
    touched_items, ends = _by_user(touched, int(examples.user.max()) + 1)
    device = examples.target.device
    ranks = []
    bars = progress_bar(total=len(examples), desc="ranking", unit="ex", disable=not progress)
    with evaluating(model), bars as bar:
        catalogue = Catalogue(model)
        for index in torch.arange(len(examples), device=device):
            batch = examples.batch(index[None], max_history)
            logit = catalogue.logits(batch)[0]
            own = logit[batch.target]
            user = int(batch.user)
            logit[touched_items[ends[user] : ends[user + 1]]] = -torch.inf
            logit[batch.target] = -torch.inf
            ranks.append(rank_of_first(torch.cat([own, logit])[None]))
            bar.update()
    return torch.cat(ranks)


def _by_user(touched: tuple[Tensor, Tensor], num_users: int) -> tuple[Tensor, list[int]]:
    """The items by user, and where those of each user begin, and the last ones end."""
    users, items = touched
    ends = users.bincount(minlength=num_users).cumsum(0).tolist()
    return items[users.sort(stable=True).indices], [0, *ends]


def rank_of_first(logit: Tensor) -> Tensor:
    """Rank of the first of each row from 1, ``[n, candidates] -> [n]``; an equal one counts as half
    above it.

    Raises:
        InputError: if a score is not a number.
    """
    if not bool(logit[:, 0].isfinite().all()) or bool(logit.isnan().any()):
        raise InputError("a score is not a number: nothing can be ranked by it")
    own, others = logit[:, :1], logit[:, 1:]
    above = (others > own).sum(dim=1) + (others == own).sum(dim=1) / 2
    return 1 + above.double()
