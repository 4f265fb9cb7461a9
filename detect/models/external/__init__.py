"""Other makers' detectors behind the contract of our own: ONNX, timm folders, Python functions, tables of scores."""
