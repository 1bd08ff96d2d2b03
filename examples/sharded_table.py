"""A table larger than one device: its rows over two processes, by PyTorch's DTensor.

Started as it is, the script spawns two processes; each holds half of the rows, of their gradients
and of Adam's moments. The training, on the same batches, is that of one process with the whole
table.
"""

import os
import tempfile
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import RowwiseParallel, parallelize_module
from torch.multiprocessing.spawn import spawn

import resemb_gnn as rg
from resemb_gnn.training import predict

PROCESSES = 2
STEPS = 20


class CentersAndTable(nn.Module):
    """Res-embedding whose residual is a module of its own, and so can be sharded: a mix of centres
    from ``central``, an embedding without residual, plus the rows of a table.
    """

    def __init__(self, central: rg.ResEmbedding, num_items: int) -> None:
        super().__init__()
        self.central = central
        self.num_embeddings, self.embedding_dim = num_items, central.embedding_dim
        self.residual = nn.Embedding(num_items, central.embedding_dim)
        nn.init.normal_(self.residual.weight, std=0.001)

    def forward(self, ids: Tensor) -> Tensor:
        return self.central.center_part(ids) + self.residual(ids)


def make_models(split: rg.Split) -> dict[str, nn.Module]:
    """DIN over a plain table, and over centres with a residual table."""
    torch.manual_seed(0)
    num_items = split.history.num_items
    graph = rg.covisit_graph(split.history)
    central = rg.ResEmbedding(graph, 16, 16, shrinkage=None, residual_penalty=0, residual_std=0)
    central.residual.requires_grad_(False)
    return {
        "nn.Embedding": rg.DIN(nn.Embedding(num_items, 16)),
        "ResEmbedding": rg.DIN(CentersAndTable(central, num_items)),
    }


def table_of(model: nn.Module) -> nn.Embedding:
    embedding = model.embedding
    table = embedding.residual if isinstance(embedding, CentersAndTable) else embedding
    assert isinstance(table, nn.Embedding)
    return table


def shard(model: nn.Module) -> None:
    """Puts the rows of the table over the processes; lookups give whole vectors everywhere."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    plan = RowwiseParallel(input_layouts=Replicate(), output_layouts=Replicate())
    parallelize_module(table_of(model), mesh, plan)


def train(model: nn.Module, split: rg.Split) -> list[float]:
    """Losses of a few steps of Adam; every process takes the same batches."""
    table = table_of(model).weight
    rest = [one for one in model.parameters() if one is not table and one.requires_grad]
    optimizers = [torch.optim.Adam([table], lr=0.01), torch.optim.Adam(rest, lr=0.01)]
    generator = torch.Generator().manual_seed(0)
    losses = []
    for index, _ in split.train.plan(128, generator)[:STEPS]:
        batch = split.train.batch(index, max_history=20)
        loss = nn.functional.binary_cross_entropy_with_logits(model(batch), batch.label)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        losses.append(loss.item())
    return losses


def make_split() -> rg.Split:
    log = rg.InterestDelayModel(num_users=300, num_items=121, num_interests=6).sample()
    return log.split(by="time")


def worker(rank: int, folder: str) -> None:
    """One of the processes; the first leaves what came out."""
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", store, rank=rank, world_size=PROCESSES)
    split = make_split()
    found: dict[str, Any] = {}
    for name, model in make_models(split).items():
        shard(model)
        losses = train(model, split)
        weight = table_of(model).weight
        assert isinstance(weight, DTensor)
        assert weight.placements == (Shard(0),)
        found[name] = {
            "losses": losses,
            "own rows": weight.to_local().size(0),
            "table": weight.full_tensor().detach(),
            "logits": predict(model, split.test),
        }
    if rank == 0:
        torch.save(found, os.path.join(folder, "found.pt"))
    dist.destroy_process_group()


def main() -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        spawn(worker, (folder,), nprocs=PROCESSES)
        sharded = torch.load(os.path.join(folder, "found.pt"))
    split = make_split()
    result = {}
    for name, model in make_models(split).items():
        losses = train(model, split)
        other = sharded[name]
        result[name] = {
            "rows": table_of(model).weight.size(0),
            "rows a process": other["own rows"],
            "loss": max(abs(a - b) for a, b in zip(losses, other["losses"], strict=True)),
            "table": float((table_of(model).weight.detach() - other["table"]).abs().max()),
            "logits": float((predict(model, split.test) - other["logits"]).abs().max()),
        }
        print(f"{name}: {result[name]['rows']} rows, {result[name]['rows a process']} in the first")
        print(f"  largest differences to one process after {STEPS} steps:", end="")
        print("".join(f" {key} {result[name][key]:.1e}" for key in ("loss", "table", "logits")))
    return result


if __name__ == "__main__":
    main()
