"""Exported models at work, one small file per engine, without torch and without knowing any model family."""
