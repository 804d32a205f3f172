"""Is the present state really what the events say? Folds from zero and compares."""
