"""Swappers in forms that other programs read."""
