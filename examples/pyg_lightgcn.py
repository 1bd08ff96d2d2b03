"""ResEmbedding in PyG's LightGCN, in the place of the items' half of its table."""

import torch
from torch import Tensor, nn
from torch_geometric.nn import LightGCN

import resemb_gnn as rg
from resemb_gnn.training import auc

DIM = 16


class UsersAndItems(nn.Module):
    """LightGCN's table of nodes: first the users', then the items' rows."""

    def __init__(self, num_users: int, items: nn.Embedding | rg.ResEmbedding) -> None:
        super().__init__()
        self.users = nn.Embedding(num_users, items.embedding_dim)
        self.items = items
        nn.init.xavier_uniform_(self.users.weight)

    @property
    def weight(self) -> Tensor:
        every = torch.arange(self.items.num_embeddings)
        return torch.cat([self.users.weight, self.items(every)])


def train(model: LightGCN, split: rg.Split, steps: int = 60) -> float:
    """Bayesian personalised ranking on the training clicks; test AUC of the dot products."""
    log = split.history
    clicks = torch.stack([log.users, log.items + log.num_users])
    edges = torch.cat([clicks, clicks.flip(0)], dim=1).unique(dim=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        index = torch.randint(clicks.size(1), (1024,))
        user, positive = clicks[:, index]
        negative = torch.randint_like(positive, log.num_items) + log.num_users
        pairs = torch.stack([user.repeat(2), torch.cat([positive, negative])])
        better, worse = model(edges, pairs).chunk(2)
        loss = model.recommendation_loss(better, worse, node_id=pairs.unique())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        pairs = torch.stack([split.test.user, split.test.target + log.num_users])
        return auc(model(edges, pairs), split.test.label)


def main() -> dict[str, float]:
    torch.manual_seed(0)
    world = rg.InterestDelayModel(num_users=300, num_items=120, num_interests=6)
    log = world.sample().positives()
    split = log.split(by="last")
    own, ours = (LightGCN(log.num_users + log.num_items, DIM, num_layers=2) for _ in range(2))
    emb = rg.ResEmbedding(rg.covisit_graph(split.history), embedding_dim=DIM, num_centers=16)
    ours.embedding = UsersAndItems(log.num_users, emb)  # the swap
    found = {"its own table": train(own, split), "ResEmbedding": train(ours, split)}
    for name, value in found.items():
        print(f"LightGCN with {name}: test AUC {value:.3f}")
    return found


if __name__ == "__main__":
    main()
