"""Detection of deepfakes: training, evaluation and use of detectors.

The names below are loaded when they are first used, so that importing this package loads no torch::

    detect.train_detector("set", run="runs/det", minutes=10)
    detect.evaluate_detector("runs/det", "set", split="test")
    detect.Predictor.load("runs/det").score("clip.mp4").clip.logit
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
