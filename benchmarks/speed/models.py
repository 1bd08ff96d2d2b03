"""A training step of each click model, and of DIEN on padded histories, on Beauty-like lengths.

    OMP_NUM_THREADS=1 python benchmarks/models_speed.py

Contenders take turns (see timing.py) on the same batches of a synthetic log of Beauty's size, with
a plain table; a ratio is the median over rounds of the processor's seconds by those of DIN in the
same round. The padded DIEN has PyTorch's GRU and an AUGRU step by step in autograd.
"""

import argparse
from collections.abc import Callable

import torch
from speed_ours import BATCH_SIZE, BEAUTY, DIM, make_optimizer
from synthetic_log import synthetic_log
from timing import Contender, alternate, machine, spread
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils.rnn import pad_sequence

import resemb_gnn as rg
from resemb_gnn.training import training_step

MAX_HISTORY = 50


class PaddedDIEN(rg.DIEN):
    """The same model and loss on histories padded to the longest of the batch."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__(embedding)
        self.gru = nn.GRU(self.feature_dim, self.feature_dim, batch_first=True)

    def score(self, items: Tensor, history: Tensor, target: Tensor, batch: rg.Batch) -> Tensor:
        lengths = batch.ptr.diff()
        rows = pad_sequence(list(history.split(lengths.tolist())), batch_first=True)
        mask = torch.arange(rows.size(1)) < lengths[:, None]  # [batch_size, longest]
        behavior, query = items[rows], items[target]
        states, _ = self.gru(behavior)
        score = (states * self.attention(query)[:, None]).sum(dim=2)
        weight = score.masked_fill(~mask, -torch.inf).softmax(dim=1)
        interest = self._evolve(states, weight, mask)
        pooled = (behavior * mask[..., None]).sum(dim=1) / lengths[:, None]
        if self.training:
            negative = items[history[torch.randint(history.numel(), rows[:, 1:].shape)]]
            losses = softplus(-(states[:, :-1] * behavior[:, 1:]).sum(dim=2))
            losses = losses + softplus((states[:, :-1] * negative).sum(dim=2))
            self._auxiliary_loss = (losses * mask[:, 1:]).sum() / mask[:, 1:].sum()
        features = torch.cat([interest, query, pooled, query * pooled], dim=1)
        return self.mlp(self.norm(features)).squeeze(1)

    def _evolve(self, states: Tensor, attention: Tensor, mask: Tensor) -> Tensor:
        cell, width = self.evolution, self.feature_dim
        gates = torch.addmm(cell.bias, states.flatten(0, 1), cell.weight_input.t())
        gates = gates.view(*mask.shape, -1)
        state = torch.zeros_like(states[:, 0])
        for step in range(mask.size(1)):
            by_input, by_state = gates[:, step], state @ cell.weight_hidden.t()
            both = by_input[:, : 2 * width] + by_state[:, : 2 * width]
            reset, update = both.sigmoid().chunk(2, dim=1)
            new = (by_input[:, 2 * width :] + reset * by_state[:, 2 * width :]).tanh()
            share = update * attention[:, step, None] * mask[:, step, None]
            state = state.lerp(new, share)
        return state


MODELS: dict[str, Callable[[nn.Module], rg.models.CTRModel]] = {
    "DIN": rg.DIN,
    "pooled MLP": rg.PooledMLP,
    "Wide & Deep": rg.WideDeep,
    "PNN": rg.PNN,
    "DIEN": rg.DIEN,
    "DIEN, padded": PaddedDIEN,
}


def contender(name: str, num_items: int, batches: list[list[rg.Batch]]) -> Contender:
    torch.manual_seed(0)
    model = MODELS[name](nn.Embedding(num_items, DIM)).train()
    optimizer = make_optimizer(model)

    def prepare(number: int) -> Callable[[], object]:
        training_step(model, batches[number][0], optimizer)  # warms the caches
        return lambda: [training_step(model, batch, optimizer) for batch in batches[number]]

    return Contender(name, prepare)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=5, help="steps a turn")
    options = parser.parse_args()
    log = rg.BehaviorLog.from_frame(synthetic_log(*BEAUTY), "user", "item", "time")
    generator = torch.Generator().manual_seed(0)
    stream = log.split(by="last").train.batches(BATCH_SIZE, MAX_HISTORY, generator)
    batches = [[next(stream) for _ in range(options.steps)] for _ in range(options.rounds)]
    lengths = torch.cat([batch.ptr.diff() for turn in batches for batch in turn]).float()
    print(f"{machine()}, PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"histories: mean {lengths.mean():.1f}, longest {int(lengths.max())}\n")
    seconds: dict[str, list[float]] = {name: [] for name in MODELS}
    contenders = [contender(name, log.num_items, batches) for name in MODELS]
    for turn in alternate(contenders, options.rounds):
        seconds[turn.contender.name].append(turn.cpu / options.steps)
    print("| model | ms a step | by DIN: median | quartiles |\n|---|---|---|---|")
    for name, own in seconds.items():
        ratio, low, high = spread([a / b for a, b in zip(own, seconds["DIN"], strict=True)])
        print(f"| {name} | {spread(own)[0] * 1e3:.1f} | {ratio:.2f} | {low:.2f} to {high:.2f} |")
    padded = zip(seconds["DIEN, padded"], seconds["DIEN"], strict=True)
    ratio, low, high = spread([a / b for a, b in padded])
    print(f"\nDIEN padded by DIEN: {ratio:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
