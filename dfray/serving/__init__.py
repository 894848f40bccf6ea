"""Contents and behaviour of a registered model: package, card, scorer."""
