"""Doors to other harnesses; each is imported only by who has that harness installed."""
