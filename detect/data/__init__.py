"""What detectors are trained on: labelled crops, pairs, sequences, self-blended images and their augmentation."""
