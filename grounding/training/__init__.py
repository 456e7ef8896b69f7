"""Training of multi-label tag classifiers, on tensors."""
