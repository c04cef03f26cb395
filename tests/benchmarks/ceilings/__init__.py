"""What this machine could do at best, measured in the same run as the product.

Three views without sign-in, trail, outbox, prices, rules or triggers: one SELECT; a booking as
short as the ORM allows; the same booking as one SQL statement.
"""
