"""The engine for files in an object store that speaks S3."""
