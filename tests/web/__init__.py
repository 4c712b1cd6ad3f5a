"""Web applications, over real servers."""
