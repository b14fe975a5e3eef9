"""How plugins declare what they have, and how they are found."""
