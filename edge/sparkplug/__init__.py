"""Sparkplug B 3.0: the node as an edge node that SCADA hosts discover, beside the JSON contract."""
