"""The verbs of what is published, for Google Compute Engine."""
