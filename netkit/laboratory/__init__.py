"""The lab: namespaces, LAN, engines, hosts. The only code that creates or destroys anything."""
