"""Losses as plain functions, one value per element; who sums and normalises is the objective."""
