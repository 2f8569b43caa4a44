"""The published trainings, written anew from their descriptions, as the sides to compare with."""
