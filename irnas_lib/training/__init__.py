"""The loop that trains a network, the search, and what both are made of: recipes, steps, checkpoints."""
