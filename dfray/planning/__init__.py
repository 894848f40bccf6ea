"""What a recipe will take on a cluster: hours, memory, storage and money, from figures measured here."""
