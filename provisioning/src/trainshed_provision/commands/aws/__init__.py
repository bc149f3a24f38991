"""The verbs for Amazon EC2: options of each, and what is printed."""
