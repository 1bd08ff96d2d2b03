"""Measurements, a folder a question: README.md says which. They run from the repository's root, as
`python -m benchmarks.speed`.
"""
