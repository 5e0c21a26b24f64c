"""Alpaca's REST history over what the simulated market sent."""
