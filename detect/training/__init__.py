"""Training of detectors, from a labelled set to a model card."""
