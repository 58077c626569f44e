"""Who speaks what: provider rows, their models, and the providers made of them."""
