"""Effects: how an accepted proposal reaches the world."""
