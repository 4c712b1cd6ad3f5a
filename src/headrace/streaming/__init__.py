"""Streams: the pure machine that decides, and the thin shell of tasks around it."""
