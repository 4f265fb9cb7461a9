"""Detectors in the file formats of other tools: ONNX and plain timm out, Keras in."""
