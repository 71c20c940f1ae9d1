"""A listening test as a page that needs no server, and what its answers say."""
