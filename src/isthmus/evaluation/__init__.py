"""Judge a model: what it answers, what it still knows, what it forgot."""
