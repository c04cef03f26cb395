"""Everything on one machine: the processes of `manage.py demo`, and its tour."""
