"""A package for the sake of tests/tools, whose programs run as `python -m tests.tools.fuzz`."""
