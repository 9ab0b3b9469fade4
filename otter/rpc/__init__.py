"""Manager, nodes and sides talking to each other: HTTP with an HMAC, links of framed messages, sealed secrets."""
