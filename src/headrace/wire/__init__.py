"""Vendors' formats, one module each: requests out, events and bodies in. Pure: no sockets, no loop, no clock."""
