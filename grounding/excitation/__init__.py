"""Excitation Backprop for any torchvision or timm convnet; imports nothing of ours."""
