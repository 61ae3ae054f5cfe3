"""Patterns: where a run goes when a work of it ends. One pure plan each; `work.py` is what they share."""
