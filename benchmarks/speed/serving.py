"""Examples a second of a DIN as it is, exported, and in ONNX Runtime, side by side in one run.

    python benchmarks/serving.py
    python benchmarks/serving.py --data Beauty.txt --rounds 9

An untrained DIN over a Res-embedding scores the same batches of real histories (at most 50
behaviours) in each form, in alternating turns; its outputs are compared before. Writes serving.json
and serving.md. Needs the extra `serve`.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch
from synthetic_log import synthetic_log
from timing import Contender, alternate, machine, spread
from torch import Tensor

from resemb_gnn import DIN, BehaviorLog, ResEmbedding, covisit_graph
from resemb_gnn.data import Batch
from resemb_gnn.datasets import load_source
from resemb_gnn.experiment.results import versions, write_atomically, write_results
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


def turns(name: str, score: Score, batches: list[Batch]) -> Contender:
    def run() -> None:
        with torch.inference_mode():
            for batch in batches:
                score(batch)

    return Contender(name, lambda number: run, sum(len(batch) for batch in batches))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="sequence file; default: a synthetic log of its size")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 64, 1024])
    parser.add_argument("--examples", type=int, default=8192, help="at most so many a turn")
    parser.add_argument("--batches", type=int, default=200, help="at most so many a turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "serving"))
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    if arguments.data is not None:
        log = load_source(arguments.data).log
    else:
        rows = synthetic_log(22_363, 12_101, 198_502)
        log = BehaviorLog.from_frame(rows, "user", "item", "time")
    split = log.split()
    model = DIN(ResEmbedding(covisit_graph(split.history))).eval()
    forms = scorers(model, arguments.threads)
    contents = {
        "command": "python benchmarks/serving.py"
        + (f" --data {Path(arguments.data).name}" if arguments.data else ""),
        "num_items": log.num_items,
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "machine": machine(),
        "versions": versions() | {"onnxruntime": onnxruntime.__version__},
        "batch_sizes": {},
    }
    lines = [
        f"`{contents['command']}`: {log.num_items} items, {arguments.threads} thread(s),"
        f" median of {arguments.rounds} alternating rounds (quartiles), examples a second.",
        "",
        "| batch size | form | examples a second | ratio to the model |",
        "|---|---|---|---|",
    ]
    for size in arguments.batch_sizes:
        number = min(arguments.examples, arguments.batches * size, len(split.test))
        batches = list(split.test[torch.arange(number)].batches(size, MAX_HISTORY))
        difference = largest_difference(forms, batches[0])
        rates: dict[str, list[float]] = {name: [] for name in forms}
        contenders = [turns(name, score, batches) for name, score in forms.items()]
        for turn in alternate(contenders, arguments.rounds):
            rates[turn.contender.name].append(number / turn.wall)
        found = {name: spread(values) for name, values in rates.items()}
        contents["batch_sizes"][str(size)] = {"difference": difference, "rates": rates}
        for name, (middle, low, high) in found.items():
            ratio = middle / found["model"][0]
            lines.append(
                f"| {size} | {name} | {middle:,.0f} ({low:,.0f} to {high:,.0f}) | {ratio:.2f} |"
            )
    folder = Path(arguments.out)
    write_results(folder / "serving.json", contents)
    write_atomically(folder / "serving.md", "\n".join(lines) + "\n")
    print("\n".join(lines))


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


if __name__ == "__main__":
    main()
