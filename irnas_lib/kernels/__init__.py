"""What a CPU computes faster here than in PyTorch's own operators; on other devices PyTorch's are used."""
