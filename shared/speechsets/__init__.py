"""Labelled sets of speech: real recordings and synthetic ones that left by the same chain.

A set of its own kind beside ``shared.dataset``: the record of a clip there counts frames, faces, pictures and masks,
none of which speech has, and speech has spans, a voice and a chain of its own. The seal is the same one.

* ``layout``: files and records; ``folder``: reading, writing, sealing, verifying
* ``chain``: what every recording of a group goes through; ``splits``: speakers to train, val and test
* ``audit``: whether anything but the forgery tells the classes apart
"""
