"""Our own model of voices: one encoder for what is said, one light decoder an identity.

* ``config``: settings of a training; ``features``: mel spectrogram, pitch and energy of an utterance
* ``network``: the model; ``augment``: warps of its input; ``data``: batches from voicesets
* ``training``: one run; ``checkpoint``: the folder of a trained model; ``previews``: pictures and sounds of a run
* ``inversion``: mel spectrogram to samples; ``convert``: a recording in another identity's voice
"""
