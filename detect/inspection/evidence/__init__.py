"""Evidence in the file itself, independent of any detector: container, codec, timing, provenance.

Each module returns :class:`shared.results.scores.Evidence` values: subject, finding and limits.
"""
