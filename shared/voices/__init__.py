"""Voices: the utterances of one identity as a folder (a voiceset, the faceset of sound), made from recordings and read.

* ``layout``: files and values; ``extract``: recordings to utterances; ``reader``: a voiceset as a value
"""
