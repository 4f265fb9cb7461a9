"""Measures both halves; ``python -m benchmarks --help`` lists what can be measured."""
