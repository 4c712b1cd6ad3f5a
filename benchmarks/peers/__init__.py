"""One small program a client: run inside the client's own environment, with the client and the standard library."""
