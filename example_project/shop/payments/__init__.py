"""Takes payments from cards, and gives them back."""
