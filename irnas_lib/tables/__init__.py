"""From results to the tables, each printed number beside the measured one."""
