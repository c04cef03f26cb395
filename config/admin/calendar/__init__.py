"""The calendar of the staff: who is where on a day or in a week (B2, F3).

``page`` answers; ``asked`` reads the address; ``axis`` says where a moment stands; ``blocks``
turns slots and people into what the template draws.
"""
