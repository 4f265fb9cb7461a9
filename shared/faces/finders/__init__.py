"""Face finders: detectors of boxes and predictors of landmarks, each registered under a name."""
