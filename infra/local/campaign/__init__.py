"""The fault campaign: `make faults`."""
