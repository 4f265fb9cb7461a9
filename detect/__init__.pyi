from .evaluation.evaluate import evaluate_detector as evaluate_detector
from .inspection.inspect import inspect_file as inspect_file
from .models.contract import Detector as Detector
from .scoring.video import Predictor as Predictor
from .scoring.video import score_video as score_video
from .training.train import train_detector as train_detector
