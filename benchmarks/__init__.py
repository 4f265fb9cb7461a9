"""Benchmarks of Assay; ``python -m benchmarks --help`` lists them."""
