"""Alarm states after ISA-18.2 and OPC UA part 9: what is wrong, who has seen it, what is told."""
