"""From files to batches: the data sets, decoded once, and crops of them with noise or rain."""
