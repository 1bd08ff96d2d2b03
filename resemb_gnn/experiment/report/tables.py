"""The report's tables beside the main one: differences to the baseline, and rankings."""

from collections.abc import Callable
from dataclasses import dataclass

from resemb_gnn.experiment.report.columns import (
    Cell,
    Column,
    difference_cell,
    format_number,
    stat_cell,
)
from resemb_gnn.experiment.summary import (
    RANKING,
    Contrast,
    RankingRow,
    Results,
    baseline_of,
    contrasts,
    has_intervals,
    number,
    rankings,
)
from resemb_gnn.experiment.user_intervals import DRAWS

_METRICS = {"auc": "AUC", "gauc": "GAUC", "logloss": "log loss"}
_NAMES = {
    key: key.replace("hr_", "HR@").replace("ndcg_", "NDCG@").replace("mrr", "MRR")
    for key in RANKING
}


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Args:
        title: heading.
        meaning: what stands in it, in words.
        titles: headings of the columns.
        rows: its cells, row by row.
        brief: whether the terminal shows it too.
    """

    title: str
    meaning: str
    titles: list[str]
    rows: list[list[Cell]]
    brief: bool = True


def further_tables(results: Results) -> list[Table]:
    """The tables that there are figures for."""
    return [*_differences(results), *_rankings(results)]


def _differences(results: Results) -> list[Table]:
    found = contrasts(results)
    if not found:
        return []
    baseline, over_users = baseline_of(results), any(one.over_users for one in found)
    over_seeds = has_intervals(results)

    def over(place: str, metric: str) -> Callable[[Contrast], Cell]:
        return lambda row: difference_cell(getattr(row, place).get(metric))

    columns = [_name_column()]
    for metric, name in _METRICS.items():
        title = f"{name}, over seeds" if over_seeds else f"{name}, one seed"
        columns.append(Column(title, over("over_seeds", metric), ""))
        if over_users:
            columns.append(Column(f"{name}, over users", over("over_users", metric), ""))
    meaning = f"Test metric less that of {baseline} with the same seed"
    meaning += ": the mean of these pairs and a 95 % interval" if over_seeds else ""
    meaning += "; of the log loss less is better."
    another = "another start of the weights and another order of the batches would change"
    if over_seeds:
        meaning += f" Over seeds it is a t-interval, of what {another}."
    else:
        meaning += f" With one seed it is not known what {another}."
    if over_users:
        meaning += (
            " The 95 % interval over users is that of a bootstrap: users are drawn with"
            f" replacement, each with all of its test examples, {DRAWS:,} times, and the quantiles"
            f" of the {'mean over the seeds' if over_seeds else 'difference'} tell what another"
            " sample of users would change"
        )
        meaning += ". Neither covers the other, nor" if over_seeds else ", not that, nor"
        meaning += " another draw of negatives."
    return [_table(f"Differences to {baseline}", meaning, columns, found, over_users)]


def _rankings(results: Results) -> list[Table]:
    found = rankings(results)
    if not found:
        return []
    figures = next(run["ranking"] for run in results["runs"] if run.get("ranking"))
    among = figures.get("among")
    others = "all items" if among == "all" else f"{among} drawn items"

    def figure(key: str) -> Callable[[RankingRow], Cell]:
        return lambda row: stat_cell(row.figures[key])

    def less(key: str) -> Callable[[RankingRow], Cell]:
        return lambda row: difference_cell(row.differences.get(key))

    columns = [_name_column()]
    columns += [Column(name, figure(key), "") for key, name in _NAMES.items()]
    columns += [Column(f"{_NAMES[key]}, difference", less(key), "") for key in ("hr_10", "ndcg_10")]
    meaning = (
        f"Each positive test example's item ranked among {others} that its user never acted on, of"
        f" {format_number(number(figures, 'examples'), ',.0f')} examples: HR@k is the share of"
        " ranks up to k, NDCG@k the mean of 1 / log₂(rank + 1) up to rank k, MRR that of 1 / rank;"
        f" a tie counts half. Difference: less {baseline_of(results)} with the same seed"
    )
    differences = [one for row in found for one in row.differences.values()]
    spread = any(one.num_pairs > 1 for one in differences)
    meaning += ", with a 95 % t-interval over seeds." if spread else "."
    return [_table(f"Ranking among {others}", meaning, columns, found)]


def _name_column() -> Column:
    return Column("Embedding", lambda row: Cell(row.embedding, row.embedding), "")


def _table(
    title: str,
    meaning: str,
    columns: list[Column],
    rows: list[Contrast] | list[RankingRow],
    brief: bool = True,
) -> Table:
    cells = [[column.cell(row) for column in columns] for row in rows]
    return Table(title, meaning, [column.title for column in columns], cells, brief)
