"""A text read by any identity of a voice model: a small network from phones to the model's own content code.

* ``config``: settings of a training; ``words``: sentences to learn from; ``material``: what an engine reads of them
* ``timing``: phones on the frames of the voice model
* ``network``: the text encoder; ``training``: one run in the folder of the voice model; ``previews``: what it shows
* ``checkpoint``: the folder of a trained text encoder; ``read``: a text in the voice of an identity
"""
