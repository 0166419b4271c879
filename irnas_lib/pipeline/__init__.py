"""Running the notebooks of a profile, and publishing what they made."""
