"""Text in pictures: read in a pass of its own, kept line by line with its place, and found although it was misread."""
