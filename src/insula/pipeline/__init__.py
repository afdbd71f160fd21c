"""From an experiment to a folder: what is read, what is run, what is predicted, and what is opened again."""
