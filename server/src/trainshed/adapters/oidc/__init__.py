"""Logins at an OpenID Connect provider."""
