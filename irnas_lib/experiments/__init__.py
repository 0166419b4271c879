"""What was trained and measured: configurations, results, and the experiments of the pages."""
