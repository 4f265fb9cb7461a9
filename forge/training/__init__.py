"""Training of swappers: settings, recipes, data, losses, adversaries and the loop that is stopped and resumed."""
