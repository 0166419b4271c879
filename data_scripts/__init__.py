"""Commands that fetch the data sets."""
