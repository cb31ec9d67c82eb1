"""What runs on the node: capture, log-mel, int8 backbone, nearest neighbour, evidence, event."""

__version__ = "0.1.0"
