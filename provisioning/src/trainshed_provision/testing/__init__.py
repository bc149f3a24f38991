"""Stand-ins for the clouds, as strict as the clouds are. Only tests use them."""
