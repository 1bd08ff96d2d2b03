"""The settings of a comparison."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from resemb_gnn.errors import InputError, shown, unknown_choice
from resemb_gnn.settings.embedding import (
    EmbeddingSettings,
    changed,
    embedding_name,
    refuse_unread,
    settings_of,
)
from resemb_gnn.settings.names import MODELS
from resemb_gnn.settings.setting import parse, setting
from resemb_gnn.settings.shared import TrainingSettings

IN = " in "  # between the names of an embedding and of the click model that it is in


def number_of_jobs(text: str) -> str:
    """``auto``, or a whole number above 0, in one spelling.

    Raises:
        InputError: if it is neither.
    """
    return _whole_number_or("auto", text, "jobs")


def ranked_among(text: str) -> str:
    """``all``, or a whole number above 0, in one spelling.

    Raises:
        InputError: if it is neither.
    """
    return _whole_number_or("all", text, "ranking")


def _whole_number_or(word: str, text: str, name: str) -> str:
    if text == word:
        return text
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise InputError(f"{name}={shown(text)} is neither a whole number above 0 nor {word}")
    return str(int(text))


def model_name(text: str) -> str:
    """The name of a click model.

    Raises:
        InputError: if there is none of that name.
    """
    if text not in MODELS:
        raise unknown_choice(f"models={shown(text)}", text, MODELS)
    return text


def arm_name(text: str) -> str:
    """``EMBEDDING`` or ``EMBEDDING in MODEL``, in one spelling.

    Raises:
        InputError: if there is no such embedding or click model.
    """
    embedding, between, model = text.partition(IN)
    return embedding_name(embedding) + (between + model_name(model) if between else "")


@dataclass(frozen=True, kw_only=True)
class CompareSettings(EmbeddingSettings, TrainingSettings):
    """Settings of :func:`~resemb_gnn.experiment.compare`; ``resemb-gnn compare --help-all`` lists
    them.

    Raises:
        InputError: if a value is of another type, an unknown choice or out of range, a setting is
            changed that no embedding reads, or an override names an unknown embedding or a setting
            that it does not read.
    """

    embeddings: tuple[str, ...] = setting(
        ("plain", "mlp:held", "gcn", "gat"),
        "embeddings to compare, as fit's --embedding",
        name_of=embedding_name,
        group="training",
    )
    models: tuple[str, ...] = setting(
        (),
        "click models to compare each embedding in, in place of --model; what is compared is then"
        " called EMBEDDING in MODEL",
        name_of=model_name,
        group="training",
        rare=True,
    )
    baseline: str = setting(
        "plain",
        "embedding that the others' differences are to, of those that are compared; of several"
        " click models in the first, or EMBEDDING in MODEL",
        name_of=arm_name,
        group="training",
        rare=True,
    )
    seeds: int = setting(3, "number of runs an embedding: seeds 0, 1, ...", group="training")
    override: tuple[str, ...] = setting(
        (),
        "settings of one embedding alone, EMBEDDING.SETTING=VALUE each, such as gcn.num_centers=256"
        " or plain:l2.lr=0.002",
        group="training",
        rare=True,
    )
    jobs: str = setting(
        "auto",
        "runs that are made side by side, each in a process of one thread: a number, or auto for as"
        " many as there are cores (on cuda one) and as memory suffices for",
        name_of=number_of_jobs,
        group="training",
        rare=True,
    )
    ranking: str | None = setting(
        None,
        "also rank each positive test example's item, among so many drawn ones that its user never"
        " acted on (99, as S3-Rec does), or among all others (all, which takes minutes)",
        name_of=ranked_among,
        group="training",
    )
    ranking_users: int | None = setting(
        None, "rank those of so many drawn users alone", group="training", rare=True
    )
    save_predictions: bool = setting(
        False,
        "keep each run's test predictions (predictions/*.parquet), from which the report tells how"
        " far differences depend on the users that were drawn",
        group="training",
        rare=True,
    )
    out: str = setting(
        "runs/compare", "folder of results.json, results.md and report.html", group="output"
    )
    resume: bool = setting(
        False, "go on with the comparison that stands in the folder", group="output"
    )
    replace: bool = setting(
        False, "replace the comparison that stands in the folder", group="output"
    )

    def __post_init__(self) -> None:
        for name in ("jobs", "ranking"):
            given: Any = getattr(self, name)
            if isinstance(given, int) and not isinstance(given, bool):
                object.__setattr__(self, name, str(given))
        super().__post_init__()
        if not self.embeddings:
            raise InputError("name at least one embedding to compare")
        usual = type(self).baseline
        if self.baseline not in (usual, *self.embeddings, *self.arms) and not self.resume:
            raise InputError(
                f"baseline={self.baseline} is none of the embeddings, {', '.join(self.arms)}"
            )
        self.refuse_unread(changed(self))
        if self.ranking_users is not None and self.ranking is None:
            raise InputError(f"ranking_users={self.ranking_users} is read with ranking alone")
        if self.resume and self.replace:
            raise InputError("resume goes on with the comparison that replace would replace")
        for text in self.override:
            self._override(text)

    def refuse_unread(self, given: Iterable[str]) -> None:
        refuse_unread(given, [*self.embeddings, *self.embedded.values()])

    @property
    def arms(self) -> dict[str, tuple[str, str]]:
        """What is compared: embedding and click model by the name that the report has, which is the
        embedding's alone where there is one click model.
        """
        models = self.models or (self.model,)
        return {
            one if len(models) == 1 else f"{one}{IN}{model}": (one, model)
            for model in models
            for one in self.embeddings
        }

    @property
    def baseline_arm(self) -> str:
        """The one of :attr:`arms` that differences are to."""
        whole = IN in self.baseline or len(self.models) < 2
        return self.baseline if whole else f"{self.baseline}{IN}{self.models[0]}"

    def of(self, name: str) -> "CompareSettings":
        """The settings of one embedding: these, with what ``override`` sets for it."""
        own = self.overrides(name)
        embeddings = (*self.embeddings, name)
        return replace(self, override=(), embeddings=embeddings, **own) if own else self

    def overrides(self, name: str) -> dict[str, Any]:
        """What ``override`` sets for one embedding."""
        found: dict[str, Any] = {}
        for text in self.override:
            target, own = self._override(text)
            if target == embedding_name(name):
                found |= own
        return found

    def _override(self, text: str) -> tuple[str, dict[str, Any]]:
        """The embedding that an override is for, and its setting by name."""
        target, equals, value = text.partition("=")
        name, dot, key = target.partition(".")
        if not (equals and dot):
            raise InputError(f"override={text!r} is not of the form EMBEDDING.SETTING=VALUE")
        try:
            name = embedding_name(name)
            known = ["lr", *settings_of(name)]
            if key not in known:
                raise InputError(f"{name} does not read {key}, but {', '.join(known)}")
            spec = next(spec for spec in fields(self) if spec.name == key)
            return name, {key: parse(spec, value)}
        except InputError as error:
            raise InputError(f"override={text!r}: {error}") from None

    def identity(self) -> dict[str, Any]:
        """The settings that decide a run's figures: those that a resumed comparison must share.

        The data may have moved: their fingerprints are compared, not their paths. Overrides belong
        to a run and stand beside it.
        """
        free = {"data", "items", "users", "embeddings", "seeds", "override"}
        free |= {"out", "resume", "replace", "quiet", "tensorboard", "jobs", "cache"}
        free |= {"save_predictions", "baseline"}
        return self.without(free)
