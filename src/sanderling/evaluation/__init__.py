"""Metrics of any detector: COCO and VOC precision, alarms at a threshold, curves and mistakes. NumPy only."""
