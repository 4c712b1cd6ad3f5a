"""Rate limits: what vendors' headers say."""
