"""The desktop step: pretrained weights in, an int8 backbone and a bundle out."""
