"""A program that embeds headrace, as its users write one."""
