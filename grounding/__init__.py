"""The science on tensors: classifier, Excitation Backprop, words, drawing."""
