"""What the faces share: the same columns and words, harmless text, the log as it grows, work off the loop."""
