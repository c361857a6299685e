"""Encoder, connector and language model, composed: a model that answers about pictures."""
