"""What flows through the house: one type at each border, checked on construction."""
