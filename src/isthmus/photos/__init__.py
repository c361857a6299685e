"""The photo library: folders become an index, a sentence finds pictures. `Library`, `index`, `search`."""
