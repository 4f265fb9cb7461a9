"""Training data of detectors: labelled crops, pairs, sequences, self-blended images and augmentation."""
