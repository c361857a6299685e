"""Make a model: data, recipes, and the loops that follow them."""
