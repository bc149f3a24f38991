"""Images in Google's cloud: brought there, promoted, shared, aged and taken away."""
