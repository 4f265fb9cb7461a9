"""A small vocoder of our own: from the voice model's mel spectrogram and pitch to samples, by one inverse transform.

* ``config``: settings of a training; ``source``: the pulses and the noise that the network filters
* ``network``: log magnitudes and phases of that filter; ``losses``: spectra compared; ``data``: stretches of speech
* ``training``: one run, which goes on after a stop; ``previews``: what it shows; ``checkpoint``: the trained model
* ``synthesis``: spectrograms and recordings to sound
"""
