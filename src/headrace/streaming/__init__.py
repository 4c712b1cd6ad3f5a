"""Streams: the pure machine that decides, and the thin shell of tasks and channels around it."""
