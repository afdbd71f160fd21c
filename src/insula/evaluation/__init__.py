"""Evaluation: experiments, rows, scores, null tests, contrasts and results."""
