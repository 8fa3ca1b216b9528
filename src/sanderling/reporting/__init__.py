"""Plots, tables and pages from plain values; knows no detector."""
