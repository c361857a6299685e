"""The strip of land: features of a frozen encoder become tokens of a frozen language model."""
