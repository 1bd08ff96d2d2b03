"""``resemb-gnn compare``: embeddings side by side, and the report."""

from resemb_gnn.cli.notes import note
from resemb_gnn.experiment import compare
from resemb_gnn.settings import CompareSettings


def run_compare(settings: CompareSettings) -> None:
    """Trains, writes the report, and prints its table."""
    results = compare(settings, log=note(settings.quiet))
    from resemb_gnn.experiment.report.text import text_table  # matplotlib takes a second to import

    print(text_table(results))
    print(f"\n{settings.out}/report.html, results.md and results.json hold the whole of it.")
