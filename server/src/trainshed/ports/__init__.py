"""What the services need from engines, as Protocols. Each class docstring is the contract of every adapter."""
