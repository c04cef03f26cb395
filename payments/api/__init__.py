"""The REST API of everything with a price: slots, carts, transactions, proofs."""
