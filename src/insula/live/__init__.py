"""Live: sources of signals, the predictor that reads them as training did, the page and what goes out."""
