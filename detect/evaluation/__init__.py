"""Evaluation of a detector on a labelled set, and its result as data and as a page."""
