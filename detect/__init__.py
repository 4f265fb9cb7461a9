"""Detection of deepfakes: training, evaluation and use of detectors.

The names below are loaded when they are first used, so that importing this package loads no torch::

    detect.train_detector("set", run="runs/det", minutes=10)
    detect.evaluate_detector("runs/det", "set", split="test")
    detect.Predictor.load("runs/det").score("clip.mp4").clip.logit
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from detect.evaluation.evaluate import evaluate_detector
    from detect.inspection.inspect import inspect_file
    from detect.models.contract import Detector
    from detect.scoring.video import Predictor, score_video
    from detect.training.train import train_detector
else:  # hidden from type checkers, which would accept any name
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "evaluation.evaluate": ["evaluate_detector"],
            "inspection.inspect": ["inspect_file"],
            "models.contract": ["Detector"],
            "scoring.video": ["Predictor", "score_video"],
            "training.train": ["train_detector"],
        },
    )

__all__ = ["Detector", "Predictor", "evaluate_detector", "inspect_file", "score_video", "train_detector"]
