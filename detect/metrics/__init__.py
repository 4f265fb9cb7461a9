"""Metrics of classification, their intervals and their comparison."""
