"""The commands `ebmcore seeds` and `ebmcore sweep`."""
