"""No code of a file's author runs: no load path unpickles, evaluates or unpacks blindly."""

import ast
import hashlib
import pickle
from pathlib import Path

import pytest
import torch

import resemb_gnn
from resemb_gnn import InputError
from resemb_gnn.training.checkpoint import CheckpointFolder

ROOT = Path(resemb_gnn.__file__).parent
# Modules that run code as they read. pickle is named where its exception is caught; the loaders of
# PyG and OGB, which are not ours, are told of in docs/robustness.md.
MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
HARMLESS = {"pickle.UnpicklingError", "joblib.cpu_count"}
# What the processes of a comparison, or of a fit, hand each other: files and pipes of their own.
OWN = ("experiment/workers.py", "training/helpers.py")
FUNCTIONS = {"extractall", "unpack_archive", "read_pickle", "unsafe_load", "full_load"}


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def is_unsafe(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module in MODULES
    if isinstance(node, ast.Attribute):
        return dotted(node).split(".")[0] in MODULES and dotted(node) not in HARMLESS
    if not isinstance(node, ast.Call):
        return False
    name = dotted(node.func)
    given = {word.arg: ast.unparse(word.value) for word in node.keywords}
    if name == "torch.load":
        return given.get("weights_only") != "True"
    if name in ("np.load", "numpy.load"):
        return given.get("allow_pickle") != "False"
    if name in ("yaml.load", "yaml.load_all"):
        loader = given.get("Loader", ast.unparse(node.args[1]) if len(node.args) > 1 else "")
        return loader not in ("yaml.SafeLoader", "yaml.CSafeLoader")
    return name in ("eval", "exec") or name.split(".")[-1] in FUNCTIONS


def unsafe_uses(source: str) -> list[str]:
    return [ast.unparse(node) for node in ast.walk(ast.parse(source)) if is_unsafe(node)]


@pytest.mark.parametrize(
    "source",
    [
        "import pickle; pickle.load(f)",
        "from pickle import loads",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p)",
        "np.load(p, allow_pickle=True)",
        "yaml.load(t)",
        "yaml.load(t, Loader=yaml.Loader)",
        "yaml.unsafe_load(t)",
        "eval(t)",
        "tar.extractall(p)",
        "shutil.unpack_archive(p)",
        "pd.read_pickle(p)",
    ],
)
def test_the_search_finds(source):
    assert unsafe_uses(source)


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "torch.load(p, weights_only=True)",
        "np.load(p, allow_pickle=False)",
        "yaml.safe_load(t)",
        "ast.literal_eval(t)",
    ],
)
def test_the_search_lets_pass(source):
    assert not unsafe_uses(source)


def test_no_unsafe_load_in_the_package():
    found = {
        str(path.relative_to(ROOT)): uses
        for path in sorted(ROOT.rglob("*.py"))
        if path not in [ROOT / own for own in OWN]
        if (uses := unsafe_uses(path.read_text(encoding="utf-8")))
    }
    assert not found


class Hostile:
    """Makes a file on being unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return (Path.touch, (self.proof,))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_checkpoint_is_refused_and_runs_nothing(tmp_path, zipped):
    proof = tmp_path / "proof"
    file = tmp_path / "hostile.pt"
    contents = {"schema": 1, "step": Hostile(proof), "weight": torch.ones(1)}
    torch.save(contents, file, _use_new_zipfile_serialization=zipped)
    torch.load(file, weights_only=False)  # the proof that it would
    assert proof.exists()
    proof.unlink()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file.rename(tmp_path / f"checkpoint-00000001.{digest}.pt")
    with pytest.raises(InputError, match=r"checkpoint-00000001.*was not loaded"):
        CheckpointFolder(tmp_path).load()
    assert not proof.exists()


@pytest.mark.parametrize("content", [b"", b"no zip", pickle.dumps([1, 2, 3]), b"PK\x03\x04" * 9])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / f"checkpoint-00000001.{digest}.pt").write_bytes(content)
    with pytest.raises(InputError, match="checkpoint-00000001"):
        CheckpointFolder(tmp_path).load()
