"""What a detector's scores are worth: probabilities, likelihood ratios, and the files they hold for."""
