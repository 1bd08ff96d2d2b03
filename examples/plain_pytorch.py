"""ResEmbedding in a click model written in plain PyTorch: one line changes."""

import torch
from torch import Tensor, nn

import resemb_gnn as rg
from resemb_gnn.training import auc


class MeanPoolModel(nn.Module):
    """Scores a candidate against the mean of the items clicked before."""

    def __init__(self, embedding: nn.Embedding | rg.ResEmbedding) -> None:
        super().__init__()
        self.embedding = embedding
        dim = embedding.embedding_dim
        self.mlp = nn.Sequential(nn.Linear(3 * dim, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, history: Tensor, length: Tensor, target: Tensor) -> Tensor:
        mask = torch.arange(history.size(1)) < length[:, None]
        rows = self.embedding(history) * mask[..., None]  # [batch_size, width, dim]
        user = rows.sum(dim=1) / length.clamp(min=1)[:, None]
        item = self.embedding(target)
        return self.mlp(torch.cat([user, item, user * item], dim=1)).squeeze(1)


def padded(examples: rg.Examples, width: int = 20) -> tuple[Tensor, ...]:
    """Histories ``[num_examples, width]`` with their lengths, targets and labels."""
    batch = examples.batch(torch.arange(len(examples)), max_history=width)
    length = batch.ptr.diff()
    history = torch.zeros(len(batch), width, dtype=torch.long)
    history[torch.arange(width) < length[:, None]] = batch.history
    return history, length, batch.target, batch.label


def train(model: nn.Module, split: rg.Split, epochs: int = 3) -> float:
    """Test AUC after a few epochs."""
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history, length, target, label = padded(split.train)
    for _ in range(epochs):
        for index in torch.randperm(len(label)).split(256):
            logit = model(history[index], length[index], target[index])
            loss = nn.functional.binary_cross_entropy_with_logits(logit, label[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    history, length, target, label = padded(split.test)
    with torch.no_grad():
        return auc(model(history, length, target), label)


def main() -> dict[str, float]:
    torch.manual_seed(0)
    log = rg.InterestDelayModel(num_users=300, num_items=120, num_interests=6).sample()
    split = log.split(by="time")
    graph = rg.covisit_graph(split.history)
    embeddings: dict[str, nn.Embedding | rg.ResEmbedding] = {
        "nn.Embedding": nn.Embedding(log.num_items, 16),
        "ResEmbedding": rg.ResEmbedding(graph, embedding_dim=16, num_centers=16),
    }
    found = {name: train(MeanPoolModel(emb), split) for name, emb in embeddings.items()}
    for name, value in found.items():
        print(f"{name}: test AUC {value:.3f}")
    return found


if __name__ == "__main__":
    main()
