"""What teaches: objectives turn predictions and targets into named losses; they know no model class."""
