"""Sound: reading, writing, rates, loudness and where speech is.

* ``sound``: the value; ``reading``: any media file to samples, with limits and exact times
* ``writing``: samples to files
* ``rates``: other sample rates; ``loudness``: levels; ``speech``: where somebody speaks
* ``features``: spectrograms, cepstral coefficients, pitch, noise residual
* ``codecs``: a sound as it is after a codec or a telephone line

Files are opened by ``shared.video.container`` only.
"""
