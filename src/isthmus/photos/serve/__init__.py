"""The photo library as a page on this machine, and the HTTP API behind it: `isthmus photos serve`, `isthmus[serve]`."""
