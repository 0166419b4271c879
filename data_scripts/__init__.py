"""Commands that fetch and build the data sets."""
