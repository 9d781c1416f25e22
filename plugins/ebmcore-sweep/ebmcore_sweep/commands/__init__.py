"""The commands `ebmcore seeds`, `ebmcore sweep` and `ebmcore runs compare`."""
