"""The scoreboard of the suite: quality of fakes beside how well detectors find them."""
