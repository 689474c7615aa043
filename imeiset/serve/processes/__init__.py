"""The processes of `imeiset serve`: a supervisor, what it starts, and what they tell one another."""
