"""The settings of a comparison."""

from dataclasses import dataclass, fields, replace
from typing import Any

from resemb_gnn.errors import InputError
from resemb_gnn.pipeline.arm_settings import ArmSettings
from resemb_gnn.pipeline.arms import ARMS, EMBEDDINGS
from resemb_gnn.pipeline.flag import flag, value_type
from resemb_gnn.pipeline.shared_settings import TrainingSettings, without


@dataclass(frozen=True, kw_only=True)
class CompareSettings(ArmSettings, TrainingSettings):
    """Settings of :func:`~resemb_gnn.experiment.compare`; ``resemb-gnn compare --help`` lists them.

    Raises:
        InputError: if a choice is unknown or a number out of range.
    """

    embeddings: tuple[str, ...] = flag(
        ("plain", "average", "gcn", "gat"), "embeddings to compare", EMBEDDINGS
    )
    seeds: int = flag(3, "number of runs an embedding: seeds 0, 1, ...")
    override: tuple[str, ...] = flag(
        (),
        "settings of one embedding alone, ARM.SETTING=VALUE each, such as gcn.num_centers=256 or"
        " plain-l2.lr=0.002",
    )
    out: str = flag("runs/compare", "folder of results.json, results.md and report.html")
    resume: bool = flag(False, "go on with the comparison that stands in the folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.embeddings:
            raise InputError("name at least one embedding to compare")
        for name in ARMS:
            self.of(name)

    def of(self, name: str) -> "CompareSettings":
        """The settings of one arm: these, with what ``override`` sets for it.

        Raises:
            InputError: if an override names an unknown arm, a setting that the arm does not read,
                or a value that the setting cannot have.
        """
        own = self.overrides(name)
        return replace(self, override=(), **own) if own else self

    def overrides(self, name: str) -> dict[str, Any]:
        """What ``override`` sets for one arm."""
        types = {spec.name: value_type(spec) for spec in fields(self)}
        found: dict[str, Any] = {}
        for text in self.override:
            target, equals, value = text.partition("=")
            arm, dot, key = target.partition(".")
            if not (equals and dot):
                raise InputError(f"override={text!r} is not of the form ARM.SETTING=VALUE")
            if arm not in ARMS:
                raise InputError(f"override={text!r}: choose the arm from {', '.join(ARMS)}")
            if key not in ARMS[arm].settings:
                known = ", ".join(ARMS[arm].settings)
                raise InputError(f"override={text!r}: {arm} does not read {key}, but {known}")
            if arm == name:
                found[key] = _parse(text, value, types[key])
        return found

    def identity(self) -> dict[str, Any]:
        """The settings that decide a run's figures: those that a resumed comparison must share.

        The data may have moved: their fingerprint is compared, not their path. Overrides belong to
        a run and stand beside it.
        """
        free = {"data", "embeddings", "seeds", "override", "out", "resume", "quiet", "tensorboard"}
        return without(self, free)


def _parse(text: str, value: str, kind: type) -> Any:
    if kind is bool:
        if value not in ("true", "false"):
            raise InputError(f"override={text!r}: {value!r} is neither true nor false")
        return value == "true"
    try:
        return kind(value)
    except ValueError as error:
        raise InputError(f"override={text!r}: {value!r} is no {kind.__name__}") from error
