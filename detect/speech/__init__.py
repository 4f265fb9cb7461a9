"""Detectors of synthetic speech: models, training, evaluation, scoring.

* ``contract``: what a detector of speech gives, and their registry; ``gmm``, ``spectral``: the models
* ``utterances``: lists of labelled recordings; ``store``: their samples; ``augment``: changes of them in training
* ``train``: trains, calibrates and exports; ``checkpoint``: the detector's folder; ``domain``: what it was validated on
* ``score``: a file or samples to scores; ``evaluate``: metrics with intervals over speakers
"""
