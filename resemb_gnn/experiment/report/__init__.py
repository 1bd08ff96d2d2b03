"""The report of a comparison: for the terminal, as Markdown, and as a page."""
