"""How good a detector is on a labelled set, and the page that tells it."""
