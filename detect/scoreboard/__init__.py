"""The scoreboard: quality and detectability of each manipulation."""
