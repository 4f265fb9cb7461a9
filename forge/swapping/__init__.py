"""From a target clip and a trained swapper to a labelled, masked and signed fake."""
