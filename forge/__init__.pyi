from .building.build import build_set as build_set
from .models.predictor import SwapPredictor as SwapPredictor
from .swapping.clip import swap_clip as swap_clip
from .training.train import train_swapper as train_swapper
