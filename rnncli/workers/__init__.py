"""Training and scoring in several processes: who computes what, and how they tell each other."""
