"""Models as ONNX step models."""
