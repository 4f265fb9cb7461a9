"""Training of swappers: settings, recipes, data, losses, adversarial training and a resumable loop."""
