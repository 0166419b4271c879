"""The comparison systems, each from its own paper."""
