"""Third-party detectors with the interface of Assay's: ONNX files, timm folders, Python functions, tables of scores."""
