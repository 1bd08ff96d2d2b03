"""Examples a second of a DIN as it is, exported, and in ONNX Runtime, side by side in one run.

    python -m benchmarks.speed.serving
    python -m benchmarks.speed.serving --data Beauty.txt --rounds 9

An untrained DIN over a Res-embedding scores the same batches of real histories (at most 50
behaviours) in each form, in alternating turns; its outputs are compared before. Writes serving.json
and serving.md. Needs the extra `serve`.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor

from benchmarks.runs import command
from benchmarks.speed.ours import make_log
from benchmarks.tables import table
from benchmarks.timing import Contender, alternate, always, machine, spread
from resemb_gnn import DIN, ResEmbedding, covisit_graph
from resemb_gnn.data import Batch
from resemb_gnn.io.atomic import write_atomically
from resemb_gnn.io.json_text import write_json
from resemb_gnn.pipeline.facts import versions
from resemb_gnn.serving import export_scorer

MAX_HISTORY = 50
INPUTS = ("history", "ptr", "target")

Score = Callable[[Batch], Tensor]


def scorers(model: DIN, threads: int) -> dict[str, Score]:
    """The model in each of its forms."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scorer = export_scorer(model, folder)
        program = torch.export.load(folder / "scorer.pt2").module()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(folder / "scorer.onnx", options)

    def parts(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        return batch.history, batch.ptr, batch.target

    def onnx(batch: Batch) -> Tensor:
        feed = {name: part.numpy() for name, part in zip(INPUTS, parts(batch), strict=True)}
        return torch.from_numpy(session.run(None, feed)[0])

    return {
        "model": model,
        "model over its materialised table (Scorer)": lambda batch: scorer(*parts(batch)),
        "torch.export program": lambda batch: program(*parts(batch)),
        "ONNX Runtime": onnx,
    }


def scoring(name: str, score: Score, batches: list[Batch]) -> Contender:
    def run() -> None:
        with torch.inference_mode():
            for batch in batches:
                score(batch)

    return always(name, run, sum(map(len, batches)))


def largest_difference(forms: dict[str, Score], batch: Batch) -> float:
    """Between the logits of any form and the model's.

    Raises:
        AssertionError: if it is above 1e-5.
    """
    with torch.inference_mode():
        expected, *others = (score(batch) for score in forms.values())
    difference = max(float((other - expected).abs().max()) for other in others)
    assert difference < 1e-5, f"the forms differ by {difference}"
    return difference


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="sequence file; default: a synthetic log")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 64, 1024])
    parser.add_argument("--examples", type=int, default=8192, help="at most so many a turn")
    parser.add_argument("--batches", type=int, default=200, help="at most so many a turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/speed/results"))
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    log = make_log(options.data)
    split = log.split()
    model = DIN(ResEmbedding(covisit_graph(split.history), encoder="gcn")).eval()
    forms = scorers(model, options.threads)
    contents = {
        "command": command("benchmarks.speed.serving", argv, options.data),
        "num_items": log.num_items,
        "threads": options.threads,
        "rounds": options.rounds,
        "machine": machine(),
        "versions": versions() | {"onnxruntime": onnxruntime.__version__},
        "batch_sizes": {},
    }
    for size in options.batch_sizes:
        number = min(options.examples, options.batches * size, len(split.test))
        batches = list(split.test[torch.arange(number)].batches(size, MAX_HISTORY))
        rates: dict[str, list[float]] = {name: [] for name in forms}
        contenders = [scoring(name, score, batches) for name, score in forms.items()]
        difference = largest_difference(forms, batches[0])
        for turn in alternate(contenders, options.rounds):
            rates[turn.contender.name].append(number / turn.wall)
        contents["batch_sizes"][str(size)] = {"difference": difference, "rates": rates}
    write_json(options.out / "serving.json", contents, depth=2)
    text = markdown(contents)
    write_atomically(options.out / "serving.md", text)
    print(text)


def markdown(contents: dict[str, Any]) -> str:
    rows = []
    for size, found in contents["batch_sizes"].items():
        model = spread(found["rates"]["model"])[0]
        for name, rates in found["rates"].items():
            middle, low, high = spread(rates)
            shown = f"{middle:,.0f} ({low:,.0f} to {high:,.0f})"
            rows.append([size, name, shown, f"{middle / model:.2f}"])
    head = (
        f"`{contents['command']}`: {contents['num_items']} items, {contents['threads']} thread(s),"
        f" median of {contents['rounds']} alternating rounds (quartiles), examples a second."
    )
    titles = ["batch size", "form", "examples a second", "ratio to the model"]
    return "\n".join([head, "", *table(titles, rows)]) + "\n"


if __name__ == "__main__":
    main()
