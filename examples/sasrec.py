"""ResEmbedding in a small transformer over sequences, as SASRec (Kang and McAuley, ICDM 2018)."""

import torch
from torch import Tensor, nn

import resemb_gnn as rg

DIM, WIDTH = 16, 20


class SASRec(nn.Module):
    """Next item from the items before; one table for input and output. Sequences are padded at
    their end, where a causal transformer does not look.
    """

    def __init__(self, embedding: nn.Embedding | rg.ResEmbedding) -> None:
        super().__init__()
        self.embedding = embedding
        self.place = nn.Embedding(WIDTH, DIM)
        nn.init.normal_(self.place.weight, std=0.02)
        layer = nn.TransformerEncoderLayer(DIM, 2, 32, dropout=0.0, batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 1)

    def forward(self, items: Tensor) -> Tensor:
        """Logits of the next item after each place, ``[batch_size, width, num_items]``."""
        width = items.size(1)
        hidden = self.embedding(items) * DIM**0.5 + self.place.weight[:width]
        mask = nn.Transformer.generate_square_subsequent_mask(width)
        hidden = self.blocks(hidden, mask=mask, is_causal=True)
        every = torch.arange(self.embedding.num_embeddings)
        return hidden @ self.embedding(every).t()


def sequences(log: rg.BehaviorLog) -> tuple[Tensor, Tensor]:
    """Each user's last items ``[num_users, WIDTH + 1]``, padded with 0, and how many there are."""
    parts = [part[-WIDTH - 1 :] for part in log.items.tensor_split(log.ptr[1:-1])]
    lengths = torch.tensor([part.numel() for part in parts])
    rows = nn.utils.rnn.pad_sequence(parts, batch_first=True)
    return nn.functional.pad(rows, (0, WIDTH + 1 - rows.size(1))), lengths


def train(model: SASRec, history: rg.BehaviorLog, whole: rg.BehaviorLog, epochs: int = 8) -> float:
    """Hit rate at 10 of each user's last click, after training on those before."""
    rows, lengths = sequences(history)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(epochs):
        for index in torch.randperm(len(rows)).split(64):
            batch, real = rows[index], torch.arange(1, WIDTH + 1) < lengths[index, None]
            logits = model(batch[:, :-1])[real]
            loss = nn.functional.cross_entropy(logits, batch[:, 1:][real])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        rows, lengths = sequences(whole)
        index = (lengths > 1).nonzero().flatten()
        last = lengths[index] - 1
        logits = model.eval()(rows[index, :-1])[torch.arange(len(index)), last - 1]
        top = logits.topk(10, dim=1).indices
        return float((top == rows[index, last][:, None]).any(dim=1).float().mean())


def main() -> dict[str, float]:
    torch.manual_seed(0)
    world = rg.InterestDelayModel(num_users=300, num_items=120, num_interests=6)
    log = world.sample().positives()
    last = torch.zeros(log.num_behaviors, dtype=torch.bool)
    last[log.ptr[1:][log.ptr.diff() > 0] - 1] = True
    history = log.select(~last)
    emb = rg.ResEmbedding(rg.covisit_graph(history), embedding_dim=DIM, num_centers=16)
    models = {"nn.Embedding": SASRec(nn.Embedding(log.num_items, DIM)), "ResEmbedding": SASRec(emb)}
    found = {name: train(model, history, log) for name, model in models.items()}
    for name, value in found.items():
        print(f"SASRec with {name}: hit rate at 10 of {log.num_items} items {value:.3f}")
    return found


if __name__ == "__main__":
    main()
