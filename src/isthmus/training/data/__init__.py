"""Pictures with words that can be installed, and pictures made from them."""
