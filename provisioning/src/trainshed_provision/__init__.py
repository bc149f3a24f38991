"""Bakes Trainshed images, launches them and proves what runs."""
