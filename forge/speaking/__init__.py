"""Synthetic speech, labelled: text read by engines, vocoded twins of recordings, partial fakes, and sets of them.

* ``contract``: what an engine is, and their registry; ``engines``: one module an engine
* ``programs``: other people's programs, run without a shell and within limits
* ``output``: marked, signed and tagged files; ``vocoders``: the same words through a vocoder; ``partial``: some of them
"""
