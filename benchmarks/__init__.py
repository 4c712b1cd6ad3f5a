"""Measurements: a module for each question, peers interleaved in one run. `python -m benchmarks` writes the page."""
