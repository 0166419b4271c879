"""IR-NAS, neural architecture search for image restoration: a companion library to arXiv 1909.08228 v1."""

__version__ = "0.1.0"
