"""Field calibration on the node: normal sound in, a memory bank and thresholds out."""
