"""What a file itself says, apart from any detector: container, codec, timing, provenance.

Each module gives :class:`shared.results.scores.Evidence` values: what was looked at, what was found, and what it cannot
tell.
"""
