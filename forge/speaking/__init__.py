"""Synthetic speech, labelled: text read by engines, vocoded twins of recordings, partial fakes, and sets of them.

* ``contract``: what an engine is, and their registry; ``engines``: one module an engine
* ``programs``: other people's programs, run without a shell and within limits
* ``conversion``, ``reading``, ``vocoding``: what is trained here: models of voices, their text encoders, vocoders;
  ``training``: the loop of all three
* ``building``: sets of speech; ``sentences``: what is read in them; ``targets``: whose voices are in them
* ``output``: marked, signed and tagged files; ``vocoders``: the same words through a vocoder; ``partial``: some of them
"""
