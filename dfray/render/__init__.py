"""Output of the commands: results on stdout, one module per subject. Progress goes to stderr."""
