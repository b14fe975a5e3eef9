"""Models of the same data against each other, and the leave-one-out that this rests on."""
