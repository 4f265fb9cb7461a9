"""Labelled sets of speech: groups of a recording and its fakes, which leave by one chain.

* ``spec``: what a set is made of; ``groups``: one utterance of a speaker, and which fakes it gets
* ``models``: the trained models of a set; ``members``: the recordings of a group, before the chain
* ``records``: a recording through the chain, written and signed; ``files``: the files and the card
* ``build``: the whole set, planned, made and sealed
"""
